//! A real Kubernetes node: kubelet, containerd and runc.
//!
//! Everything runs in a process and mount namespace of its own, so that shims
//! (which detach from containerd) and mounts end with the test as well. All
//! traffic of containerd that is not on the loopback goes to a recorder that
//! answers nothing: no test pulls from outside by accident, and a test can say
//! that nothing tried to. Its resolver knows no name: names below `.invalid`, which
//! do not go through the proxy, fail as misspelt ones do.
//!
//! Two kubelets on one machine would clear away each other's control groups, so
//! nodes take turns: a file lock is held while one runs.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use k8s_openapi::api::core::v1::{ContainerState, Node as KubeNode, Pod};
use kube::{Api, Client};
use serde_json::json;
use tempfile::TempDir;

use crate::apiserver::Apiserver;
use crate::error::{Context, Result};
use crate::image::{Image, write_layout};
use crate::names::NoNames;
use crate::namespace::dump;
use crate::process::{Server, free_port, run, wait_for};
use crate::proxy::Recorder;
use crate::registry::{Registry, RegistryOptions};
use crate::tools::Tools;

/// What the names of the nodes' control groups begin with.
const CONTROL_GROUPS: &str = "syncd-test-";

/// A running node.
pub struct Node {
    name: String,
    server: Server,
    outside: Recorder,
    names: NoNames,
    _pause: Registry,
    folder: TempDir,
    _turn: File,
}

impl Node {
    /// Starts a node, waits until it is registered at the API server, and until
    /// its runtime answers.
    pub async fn start(apiserver: &Apiserver) -> Result<Self> {
        let turn = take_turn().await?;
        let folder = TempDir::with_prefix("syncd-node-").context("make a folder")?;
        let name = format!("node-{}", std::process::id());
        let (pause, pause_image) = pause_image(folder.path()).await?;
        let outside = Recorder::silent().await?;
        let names = NoNames::start(folder.path()).await?;

        let kubeconfig =
            apiserver.kubeconfig_for("kubelet", &format!("system:node:{name}"), "system:nodes")?;
        write_configs(folder.path(), &pause_image)?;
        let mut command = command(folder.path(), &name, &kubeconfig, &outside)?;
        command.env("RESOLV_CONF", names.resolv_conf());
        let mut server = Server::start("kubelet and containerd", command, &folder.path().join("log"))?;
        let nodes: Api<KubeNode> = Api::all(apiserver.client.clone());
        server
            .wait_ready(Duration::from_secs(60), async || nodes.get(&name).await.is_ok())
            .await?;
        let node = Self {
            name,
            server,
            outside,
            names,
            _pause: pause,
            folder,
            _turn: turn,
        };
        run(&mut node.ctr(&["version"])?)?;
        Ok(node)
    }

    /// The node's name, for `nodeName` of a pod.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// containerd's `certs.d`, read at each pull.
    pub fn certs_d(&self) -> PathBuf {
        self.folder.path().join("certs.d")
    }

    /// Writes `certs.d/<host>/hosts.toml`.
    pub fn write_hosts_toml(&self, host: &str, text: &str) -> Result<()> {
        let folder = self.certs_d().join(host);
        fs::create_dir_all(&folder).context("make a folder of certs.d")?;
        fs::write(folder.join("hosts.toml"), text).context("write a hosts.toml")
    }

    /// The same program as it would run with the node's resolver, which knows no
    /// name at all.
    pub fn with_resolver(&self, program: &Command) -> Result<Command> {
        self.names.wrap(program)
    }

    /// Connections that tried to leave the machine's loopback.
    pub fn outside(&self) -> &Recorder {
        &self.outside
    }

    /// A `ctr` command in the namespace that kubelet uses.
    pub fn ctr(&self, arguments: &[&str]) -> Result<Command> {
        let mut command = Command::new(Tools::path("ctr")?);
        command
            .arg("--address")
            .arg(self.folder.path().join("containerd.sock"))
            .args(["--namespace", "k8s.io"])
            .args(arguments);
        Ok(command)
    }

    /// What kubelet and containerd wrote, for a failure message.
    pub fn log_tail(&self) -> String {
        self.server.log_tail()
    }

    /// A pod for this node that needs no network plugin, scheduler or account.
    pub fn pod(&self, name: &str, image: &str, pull_secrets: &[&str]) -> Result<Pod> {
        let secrets = pull_secrets
            .iter()
            .map(|name| json!({ "name": name }))
            .collect::<Vec<_>>();
        serde_json::from_value(json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": { "name": name },
            "spec": {
                "nodeName": self.name,
                "hostNetwork": true,
                "automountServiceAccountToken": false,
                "enableServiceLinks": false,
                "terminationGracePeriodSeconds": 0,
                "restartPolicy": "Never",
                "tolerations": [{ "operator": "Exists" }],
                "imagePullSecrets": secrets,
                "containers": [{ "name": "main", "image": image, "imagePullPolicy": "Always" }],
            },
        }))
        .context("write a pod")
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // The processes of the namespace end with its first; what is left of the
        // control groups after that is empty. A failure to kill shows there.
        let _ended = self.server.kill();
        remove_control_groups();
    }
}

fn control_group(node: &str) -> String {
    format!("{CONTROL_GROUPS}{node}")
}

/// Removes the control groups of all nodes that helpers ever started: only one
/// runs at a time, and the caller is the one whose turn it is.
#[allow(
    clippy::disallowed_methods,
    reason = "dropping is not asynchronous, and the kernel needs a moment"
)]
fn remove_control_groups() {
    for _ in 0..100 {
        let left = control_groups();
        if left.is_empty() {
            return;
        }
        for folder in left {
            remove_tree(&folder);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn control_groups() -> Vec<PathBuf> {
    let Ok(controllers) = fs::read_dir("/sys/fs/cgroup") else {
        return Vec::new();
    };
    let groups = controllers
        .flatten()
        .filter_map(|entry| fs::read_dir(entry.path()).ok());
    groups
        .flat_map(|entries| entries.flatten())
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(CONTROL_GROUPS))
        .map(|entry| entry.path())
        .collect()
}

/// Control groups go from the leaves up; one whose processes are still ending
/// stays for the next try.
fn remove_tree(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten().filter(|entry| entry.path().is_dir()) {
        remove_tree(&entry.path());
    }
    drop(fs::remove_dir(folder));
}

async fn take_turn() -> Result<File> {
    let path = std::env::temp_dir().join("syncd-node.lock");
    let file = File::create(&path).context(format!("open {}", path.display()))?;
    tokio::task::spawn_blocking(move || file.lock().map(|()| file))
        .await
        .context("wait for other nodes")?
        .context("wait for other nodes")
}

/// The pause image, in a registry of its own.
async fn pause_image(folder: &Path) -> Result<(Registry, String)> {
    let registry = Registry::start(RegistryOptions::default()).await?;
    let layout = folder.join("pause");
    write_layout(&layout, "1", &[Image::of_program(&Tools::path("pause")?)?])?;
    let image = registry.image("pause:1");
    run(&mut registry.crane(&["push", &layout.to_string_lossy(), &image])?)?;
    Ok((registry, image))
}

fn write_configs(folder: &Path, pause_image: &str) -> Result<()> {
    fs::create_dir_all(folder.join("certs.d")).context("make certs.d")?;
    let containerd = format!(
        r#"version = 3
root = "{folder}/containerd"
state = "{folder}/state"
disabled_plugins = ["io.containerd.nri.v1.nri", "io.containerd.snapshotter.v1.blockfile", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.erofs", "io.containerd.snapshotter.v1.zfs"]

[grpc]
address = "{folder}/containerd.sock"

[plugins."io.containerd.cri.v1.images".pinned_images]
sandbox = "{pause_image}"

[plugins."io.containerd.cri.v1.images".registry]
config_path = "{folder}/certs.d"

# The machine may lack CAP_SYS_RESOURCE.
[plugins."io.containerd.cri.v1.runtime"]
restrict_oom_score_adj = true

[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
"#,
        folder = folder.display(),
    );
    fs::write(folder.join("containerd.toml"), containerd).context("write containerd's config")
}

fn kubelet_config(folder: &Path, name: &str) -> Result<serde_json::Value> {
    Ok(json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "containerRuntimeEndpoint": format!("unix://{}", folder.join("containerd.sock").display()),
        "address": "127.0.0.1",
        "port": free_port()?,
        "healthzPort": 0,
        "readOnlyPort": 0,
        "podLogsDir": folder.join("pod-logs"),
        "authentication": { "anonymous": { "enabled": true }, "webhook": { "enabled": false } },
        "authorization": { "mode": "AlwaysAllow" },
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": format!("/{}", control_group(name)),
        "failCgroupV1": false,
        "enforceNodeAllocatable": [],
        "failSwapOn": false,
        "registryPullQPS": 0,
        "serializeImagePulls": false,
        "evictionHard": {
            "memory.available": "1Mi", "nodefs.available": "0%",
            "nodefs.inodesFree": "0%", "imagefs.available": "0%",
        },
        "imageGCHighThresholdPercent": 100,
        "resolvConf": "",
    }))
}

fn command(folder: &Path, name: &str, kubeconfig: &Path, outside: &Recorder) -> Result<Command> {
    let config = folder.join("kubelet.json");
    fs::write(&config, kubelet_config(folder, name)?.to_string()).context("write a config")?;
    // What a killed test left.
    remove_control_groups();
    make_control_groups(name)?;
    // The shell is process 1 of the namespace: when it ends, all end.
    // The folders that are not configurable are hidden by empty ones.
    let script = r#"
mount --bind "$RESOLV_CONF" /etc/resolv.conf || exit
for folder in /var/lib/kubelet /run/containerd /var/log/containers; do
    mkdir -p "$folder" && mount -t tmpfs tmpfs "$folder" || exit
done
"$CONTAINERD" --config "$FOLDER/containerd.toml" --log-level info >"$FOLDER/containerd.log" 2>&1 &
for _ in $(seq 200); do [ -S "$FOLDER/containerd.sock" ] && break; sleep 0.1; done
"$KUBELET" --config "$FOLDER/kubelet.json" --kubeconfig "$KUBECONFIG_FILE" \
    --hostname-override "$NODE" --root-dir "$FOLDER/kubelet" --cert-dir "$FOLDER/kubelet-pki" &
wait -n
echo "the end of containerd's log:"; tail -n 40 "$FOLDER/containerd.log"
exit 1
"#;
    let mut command = Command::new(Tools::system("unshare")?);
    command
        .args([
            "--pid",
            "--mount",
            "--fork",
            "--kill-child=KILL",
            "--mount-proc",
            "--",
        ])
        .arg(Tools::system("bash")?)
        .args(["-c", script])
        .env("FOLDER", folder)
        .env("NODE", name)
        .env("KUBECONFIG_FILE", kubeconfig)
        .env("CONTAINERD", Tools::path("containerd")?)
        .env("KUBELET", Tools::path("kubelet")?)
        .env("PATH", program_path(&Tools::path("containerd-shim-runc-v2")?))
        .env("HTTP_PROXY", outside.url())
        .env("HTTPS_PROXY", outside.url())
        .env("NO_PROXY", "127.0.0.1,localhost,.invalid");
    Tools::system("runc")?;
    Ok(command)
}

fn make_control_groups(name: &str) -> Result<()> {
    let controllers = fs::read_dir("/sys/fs/cgroup").context("read /sys/fs/cgroup")?;
    for controller in controllers.flatten().filter(|entry| entry.path().is_dir()) {
        let folder = controller.path().join(control_group(name));
        fs::create_dir_all(&folder).context(format!("make {}", folder.display()))?;
    }
    Ok(())
}

/// The shim is found by its name, beside containerd's other programs.
fn program_path(shim: &Path) -> String {
    let folder = shim.parent().unwrap_or(shim).display();
    format!("{folder}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
}

/// Waits until a pod's container has started (it may have ended well already);
/// fails with the namespace's state.
pub async fn wait_started(client: &Client, namespace: &str, pod: &str) -> Result<()> {
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    wait_for(
        &format!("the container of pod {pod} started"),
        Duration::from_secs(60),
        async || {
            let seen = pods.get(pod).await.context("read a pod")?;
            let containers = seen.status.and_then(|status| status.container_statuses);
            let state = containers.and_then(|list| list.into_iter().next()?.state);
            Ok(state.filter(has_started).map(drop))
        },
        async || dump(client, namespace).await,
    )
    .await
}

fn has_started(state: &ContainerState) -> bool {
    state.running.is_some()
        || state
            .terminated
            .as_ref()
            .is_some_and(|ended| ended.exit_code == 0)
}
