//! A wire to the API server that can be cut and mended.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{fs, io};

use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

pub(crate) struct Wire {
    whole: Arc<watch::Sender<bool>>,
    folder: TempDir,
}

impl Wire {
    /// A wire to the server of a kubeconfig; whole at first.
    pub(crate) async fn before(kubeconfig: &Path) -> Self {
        let text = fs::read_to_string(kubeconfig).unwrap();
        let mut config: serde_json::Value = serde_json::from_str(&text).unwrap();
        let server = &mut config["clusters"][0]["cluster"]["server"];
        let address = server.as_str().unwrap().trim_start_matches("https://").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        *server = format!("https://{}", listener.local_addr().unwrap()).into();
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("config"), config.to_string()).unwrap();

        let whole = Arc::new(watch::Sender::new(true));
        tokio::spawn(serve(listener, address, Arc::clone(&whole)));
        Self { whole, folder }
    }

    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.folder.path().join("config")
    }

    /// Breaks all connections; new ones are closed at once.
    pub(crate) fn cut(&self) {
        self.whole.send_replace(false);
    }

    pub(crate) fn mend(&self) {
        self.whole.send_replace(true);
    }
}

async fn serve(listener: TcpListener, address: String, whole: Arc<watch::Sender<bool>>) {
    while let Ok((client, _)) = listener.accept().await {
        let (address, mut whole) = (address.clone(), whole.subscribe());
        tokio::spawn(async move {
            tokio::select! {
                _ = whole.wait_for(|whole| !whole) => {}
                _ = carry(client, &address) => {}
            }
        });
    }
}

async fn carry(mut client: TcpStream, address: &str) -> io::Result<()> {
    let mut server = TcpStream::connect(address).await?;
    tokio::io::copy_bidirectional(&mut client, &mut server).await?;
    Ok(())
}
