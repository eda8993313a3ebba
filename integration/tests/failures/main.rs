//! Every way in which a pull can fail, on a real kubelet and containerd, and what
//! `syncd diagnose pod/…` says about it.
//!
//! One node runs all of it side by side: each scenario has a namespace, a pod and
//! an image with layers of its own. The table of what kubelet said and what syncd
//! made of it is printed whatever comes out.

#[cfg(test)]
mod ask;
#[cfg(test)]
mod cluster;
#[cfg(test)]
mod scenarios;
#[cfg(test)]
mod table;
#[cfg(test)]
mod world;

#[cfg(test)]
use syncd_integration::{Apiserver, Node, Result};

// Commands block this thread; the registries run on others.
#[cfg(test)]
#[tokio::test(flavor = "multi_thread")]
async fn each_failure_is_named() -> Result<()> {
    let (world, apiserver) = tokio::try_join!(world::World::start(), Apiserver::start())?;
    let node = Node::start(&apiserver).await?;
    world.tell(&node)?;
    let scenarios = scenarios::all(&world);

    let client = &apiserver.client;
    for scenario in &scenarios {
        cluster::create(client, &node, scenario).await?;
    }
    let waiting = cluster::wait_all(client, &scenarios).await?;
    let answers = ask::all(&world, &node, &apiserver, &scenarios, &waiting).await?;

    table::print(&answers);
    let outside = node.outside().seen_text();
    assert_eq!(outside, "", "something left the machine");
    let wrong: Vec<String> = answers.iter().filter_map(ask::Answer::complaint).collect();
    assert!(
        wrong.is_empty(),
        "{} of {} scenarios are not named:\n{}",
        wrong.len(),
        answers.len(),
        wrong.join("\n")
    );
    Ok(())
}
