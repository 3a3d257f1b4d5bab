//! containerd as a kubelet asks it, over CRI: gRPC by curl, and the few messages
//! it takes written out (`runtime.v1`, api.proto of cri-api).

use std::path::Path;
use std::process::Command;
use std::sync::atomic::AtomicBool;

use super::daemons::Daemon;
use super::{Engine, rootfs, words};
use crate::common::{output, text, wait_until};

const IMAGE: &str = "docker.io/library/ubctest:latest";

/// A message: its fields one after another.
type Message = Vec<u8>;

fn varint(mut value: usize, to: &mut Message) {
    while value >= 0x80 {
        to.push(u8::try_from(value & 0x7f).unwrap() | 0x80);
        value >>= 7;
    }
    to.push(u8::try_from(value).unwrap());
}

/// A field that is text or a message.
fn field(number: u8, value: impl AsRef<[u8]>) -> Message {
    let value = value.as_ref();
    let mut message = vec![number << 3 | 2];
    varint(value.len(), &mut message);
    message.extend_from_slice(value);
    message
}

/// A field that is a number.
fn number(number: u8, value: u8) -> Message {
    vec![number << 3, value]
}

/// Text in the first field: an id, in all answers that we ask for.
fn first(message: &[u8]) -> String {
    assert_eq!(message.first(), Some(&(1 << 3 | 2)), "{message:?}");
    let length = usize::from(message[1]);
    assert!(length < 0x80);
    text(&message[2..2 + length])
}

/// What makes of containerd what asks for this runtime by the handler `ubc`.
pub(crate) fn config(runtime: &Path) -> String {
    let cri = "plugins.\"io.containerd.grpc.v1.cri\"";
    format!(
        "[{cri}]\nsandbox_image = \"{IMAGE}\"\n[{cri}.containerd]\nsnapshotter = \"native\"\n\
         default_runtime_name = \"ubc\"\n[{cri}.containerd.runtimes.ubc]\nruntime_type = \"io.containerd.runc.v2\"\n\
         pod_annotations = [\"org.openvz.ubc.*\"]\n\
         [{cri}.containerd.runtimes.ubc.options]\nBinaryName = \"{}\"\n",
        runtime.display()
    )
}

/// A pod of one container.
pub(crate) struct Pod {
    socket: String,
    log: String,
    sandbox: String,
    container: String,
    root: tempfile::TempDir,
}

impl Pod {
    /// An image of what `furnish` makes, in a containerd that was configured for it.
    pub(crate) fn new(daemon: &Daemon, furnish: impl FnOnce(&Path)) -> Pod {
        let root = tempfile::tempdir().unwrap();
        furnish(&rootfs(root.path()));
        let (socket, log) = (daemon.path("socket"), daemon.path("log"));
        let pod = Pod { socket, log, sandbox: String::new(), container: String::new(), root };
        pod.import();
        // It learns of it in its own time.
        let asked = field(1, field(1, IMAGE));
        wait_until("the image", || {
            pod.ask("ImageService/ImageStatus", &asked).is_ok_and(|told| !told.is_empty())
        });
        pod
    }

    fn import(&self) {
        let script = r#"tar -C rootfs -cf layer.tar .
            sum=$(sha256sum layer.tar | cut -d' ' -f1)
            echo '{"architecture":"amd64","os":"linux","config":{"Cmd":["/init"]},"rootfs":
                {"type":"layers","diff_ids":["sha256:'$sum'"]}}' >config.json
            echo '[{"Config":"config.json","RepoTags":["ubctest:latest"],"Layers":["layer.tar"]}]' \
                >manifest.json
            tar -cf image.tar manifest.json config.json layer.tar"#;
        output(Command::new("sh").args(["-ec", script]).current_dir(self.root.path()));
        let mut ctr = Command::new("ctr");
        ctr.args(["--address", &self.socket, "--namespace", "k8s.io"]);
        output(ctr.args(["image", "import", "image.tar"]).current_dir(self.root.path()));
    }

    /// Asks one thing; the answer, or what is wrong.
    fn ask(&self, what: &str, message: &[u8]) -> Result<Message, String> {
        let file = |name: &str| self.root.path().join(name);
        let mut body = vec![0];
        body.extend_from_slice(&u32::try_from(message.len()).unwrap().to_be_bytes());
        body.extend_from_slice(message);
        std::fs::write(file("asked"), body).unwrap();
        std::fs::write(file("told"), "").unwrap();
        let mut curl = Command::new("curl");
        curl.args(words("--silent --show-error --http2-prior-knowledge --unix-socket"));
        curl.args([&self.socket, "-H", "content-type: application/grpc"]);
        curl.args(["-H", "te: trailers", "--data-binary", "@asked", "-o", "told", "-D", "head"]);
        curl.arg(format!("http://localhost/runtime.v1.{what}"));
        output(curl.current_dir(self.root.path()));
        let head = std::fs::read_to_string(file("head")).unwrap();
        if !head.to_lowercase().contains("grpc-status: 0") {
            let log = std::fs::read_to_string(&self.log).unwrap();
            let about = log.lines().filter(|line| line.contains("level=error"));
            return Err(format!("{what}: {head}{}", about.collect::<Vec<_>>().join("\n")));
        }
        let mut told = std::fs::read(file("told")).unwrap();
        Ok(told.split_off(told.len().min(5)))
    }

    /// Has the namespaces of a pod made, of the handler `ubc`.
    pub(crate) fn sandbox(&mut self, annotations: &[(&str, String)]) {
        let asked = [field(1, config_of(annotations)), field(2, "ubc")].concat();
        self.sandbox = first(&self.ask("RuntimeService/RunPodSandbox", &asked).unwrap());
    }

    /// Starts the container of a pod that has these annotations; the engine enters it.
    pub(crate) fn start(&mut self, annotations: &[(&str, String)]) -> Result<Engine, String> {
        let container = [field(1, field(1, "main")), field(2, field(1, IMAGE)), field(3, "/init")];
        let container = field(2, container.concat());
        let asked = [field(1, &self.sandbox), container, field(3, config_of(annotations))].concat();
        self.container = first(&self.ask("RuntimeService/CreateContainer", &asked)?);
        self.ask("RuntimeService/StartContainer", &field(1, &self.container))?;
        let base = format!("ctr --address {} --namespace k8s.io", self.socket);
        let dir = tempfile::tempdir().unwrap();
        Ok(Engine {
            base: words(&base),
            start: Vec::new(),
            exec: words(&format!("task exec --exec-id test {}", self.container)),
            kill: words(&format!("task kill --signal KILL {}", self.container)),
            forget: words("version"),
            name: self.container.clone(),
            bundle: dir.path().to_owned(),
            gone: AtomicBool::default(),
            dir,
        })
    }

    /// Stops and removes the container, as a kubelet does it.
    pub(crate) fn remove_container(&mut self) {
        let container = std::mem::take(&mut self.container);
        self.until_done(&["StopContainer", "RemoveContainer"], &container);
    }

    /// The same of all of it.
    pub(crate) fn remove(&mut self) {
        self.remove_container();
        let sandbox = std::mem::take(&mut self.sandbox);
        self.until_done(&["StopPodSandbox", "RemovePodSandbox"], &sandbox);
    }

    /// A kubelet asks until it is done: containerd may not have noticed yet that a
    /// container has ended, and says then that it runs.
    fn until_done(&self, verbs: &[&str], id: &str) {
        for verb in verbs.iter().filter(|_| !id.is_empty()) {
            let (what, asked) = (format!("RuntimeService/{verb}"), field(1, id));
            wait_until(&what, || {
                self.ask(&what, &asked).inspect_err(|why| println!("{why}")).is_ok()
            });
        }
    }
}

/// What a kubelet says of a pod, each time.
fn config_of(annotations: &[(&str, String)]) -> Message {
    let metadata = [field(1, "ubctest"), field(2, "1"), field(3, "default")].concat();
    let mut config = field(1, metadata);
    for (key, value) in annotations {
        config.extend(field(7, [field(1, key), field(2, value)].concat()));
    }
    // The host's network: it takes no CNI.
    config.extend(field(8, field(2, field(1, number(1, 2)))));
    config
}

impl Drop for Pod {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.remove();
        }
    }
}
