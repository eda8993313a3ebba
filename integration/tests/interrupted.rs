//! A daemon that is stopped in the middle of a copy.

use std::time::Duration;

use syncd_integration::image::{Image, check_store, write_layout};
use syncd_integration::process::{run, wait_for};
use syncd_integration::syncd::Setup;
use syncd_integration::{Recorder, Registry, RegistryOptions, Result, Syncd};

const CONFIG: &str = "
apiVersion: syncd.dev/v1alpha1
kind: Config
listen: {status}
registries:
  - {host: \"SOURCE\", plainHttp: true}
mirror:
  destination: embedded
  images: [\"SOURCE/team/big:1\"]
registry:
  listen: {registry}
  auth: {anonymousPull: all}
";

/// A layer too long for the time that a daemon has for ending.
const SIZE: usize = 24 << 20;

/// A daemon in the middle of fetching a layer.
async fn copying() -> Result<(Syncd, Recorder, Registry, String)> {
    let source = Registry::start(RegistryOptions::default()).await?;
    let slow = Recorder::before(&source.host()).await?;
    let setup = Setup::with_config(&CONFIG.replace("SOURCE", &slow.host()))?;
    let image = write_layout(&setup.folder().join("image"), "1", &[Image::of_random(7, SIZE)])?;
    let layout = image.folder.to_string_lossy();
    run(&mut source.crane(&["push", &layout, &source.image("team/big:1")])?)?;

    slow.slow_down(512 * 1024);
    let syncd = setup.start().await?;
    wait_for(
        "the copy on its way",
        Duration::from_secs(60),
        async || Ok((slow.passed() > 1 << 20).then_some(())),
        async || syncd.server.log_tail(),
    )
    .await?;
    Ok((syncd, slow, source, image.digest))
}

/// Nothing damaged is there, the tag is not, and the next start finishes it.
async fn finishes(syncd: Syncd, slow: &Recorder, digest: &str) -> Result<()> {
    let state = syncd.setup.folder().join("state");
    check_store(&state)?;
    slow.slow_down(0);
    let Syncd { server, setup } = syncd;
    drop(server);
    let syncd = setup.start().await?;
    let name = format!("{}/team/big:1", slow.host().replace(':', "_"));
    let found = syncd.wait_image(&name, None).await?;
    if found != digest {
        return Err(syncd_integration::Error::Other {
            operation: "find the image byte for byte".to_owned(),
            source: format!("{found}, not {digest}").into(),
        });
    }
    let whole = check_store(&state)?;
    if whole < 3 {
        return Err(syncd_integration::Error::Other {
            operation: "find manifest, config and layer in the store".to_owned(),
            source: format!("{whole} blobs").into(),
        });
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_in_a_copy_ends_well_and_leaves_nothing_half_written() -> Result<()> {
    let (mut syncd, slow, _source, digest) = copying().await?;
    let status = syncd.server.terminate(Duration::from_secs(10)).await?;
    assert_eq!(status.code(), Some(0), "{}", syncd.server.log_tail());
    finishes(syncd, &slow, &digest).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_in_a_copy_leaves_nothing_half_written() -> Result<()> {
    let (mut syncd, slow, _source, digest) = copying().await?;
    syncd.server.kill()?;
    finishes(syncd, &slow, &digest).await
}
