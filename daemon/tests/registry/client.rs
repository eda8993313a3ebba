//! `oci-client` as the independent second opinion: it pushes and pulls.

use oci_client::client::{Client, ClientConfig, ClientProtocol, Config, ImageLayer};
use oci_client::secrets::RegistryAuth;
use oci_client::{Reference, manifest};
use syncd_config::config::AnonymousPull;

use crate::harness::Server;

fn client(monolithic: bool) -> Client {
    Client::new(ClientConfig {
        protocol: ClientProtocol::Http,
        use_monolithic_push: monolithic,
        ..ClientConfig::default()
    })
}

fn reference(server: &Server, name: &str) -> Reference {
    format!("{}/{name}", server.addr).parse().unwrap()
}

fn user(name: &str) -> RegistryAuth {
    RegistryAuth::Basic(name.to_owned(), format!("{name}-pw"))
}

#[tokio::test]
async fn what_it_pushes_it_pulls_the_same() {
    let server = Server::start(AnonymousPull::None).await;
    let layers: Vec<ImageLayer> = [1_usize, 70_000, 5_000_000]
        .into_iter()
        .map(|size| {
            let data: Vec<u8> = (0..size).map(|i| u8::try_from(i % 249).unwrap()).collect();
            ImageLayer::oci_v1(data, None)
        })
        .collect();
    // Its chunks have 4 MiB, so the last layer takes two.
    for (tag, monolithic) in [("chunked", false), ("monolithic", true)] {
        let image = reference(&server, &format!("team/{tag}:1"));
        let config = Config::oci_v1(b"{}".to_vec(), None);
        let client = client(monolithic);
        client
            .push(&image, &layers, config, &user("writer"), None)
            .await
            .unwrap();
        let accepted = vec![manifest::IMAGE_LAYER_MEDIA_TYPE];
        let pulled = client.pull(&image, &user("reader"), accepted).await.unwrap();
        let pulled: Vec<_> = pulled.layers.iter().map(|layer| &layer.data).collect();
        let pushed: Vec<_> = layers.iter().map(|layer| &layer.data).collect();
        assert!(pulled == pushed, "{tag}");
        let tags = client
            .list_tags(&image, &user("reader"), None, None)
            .await
            .unwrap();
        assert_eq!(tags.tags, ["1"]);
    }
}

#[tokio::test]
async fn it_is_told_what_it_may_not() {
    let server = Server::start(AnonymousPull::None).await;
    server.put_image("a", "1", b"layer").await;
    let image = reference(&server, "a:1");
    let accepted = || vec![manifest::IMAGE_LAYER_MEDIA_TYPE];
    let client = || client(false);
    assert!(
        client()
            .pull(&image, &RegistryAuth::Anonymous, accepted())
            .await
            .is_err()
    );
    let wrong = RegistryAuth::Basic("reader".to_owned(), "no".to_owned());
    assert!(client().pull(&image, &wrong, accepted()).await.is_err());
    let config = Config::oci_v1(b"{}".to_vec(), None);
    let layer = ImageLayer::oci_v1(b"x".to_vec(), None);
    assert!(
        client()
            .push(&image, &[layer], config, &user("reader"), None)
            .await
            .is_err()
    );
}

#[tokio::test]
async fn it_pulls_a_public_image_without_a_login() {
    let server = Server::start(AnonymousPull::Public).await;
    server.put_image("a", "1", b"layer").await;
    let image = reference(&server, "a:1");
    let accepted = || vec![manifest::IMAGE_LAYER_MEDIA_TYPE];
    assert!(
        client(false)
            .pull(&image, &RegistryAuth::Anonymous, accepted())
            .await
            .is_err()
    );
    server.publish("a");
    let pulled = client(false)
        .pull(&image, &RegistryAuth::Anonymous, accepted())
        .await
        .unwrap();
    assert_eq!(pulled.layers[0].data, b"layer"[..]);
    let digest = client(false)
        .fetch_manifest_digest(&image, &RegistryAuth::Anonymous)
        .await
        .unwrap();
    assert_eq!(digest, pulled.digest.unwrap());
}
