//! QEMU: its arguments, and its start. No secret stands in an argument: the seed travels in files.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::process::Stdio;

use rustix::io::{FdFlags, fcntl_setfd};
use tokio::process::{Child, Command};

use crate::action::{Boot, Vm};
use crate::config::Accelerator;
use crate::folder::{Folder, Lock, name};
use crate::virtiofs::Offer;
use crate::{process, share};

/// Starts QEMU in the machine's folder. It inherits `lock`, which is free again when it is gone, and the connections of
/// `offers`; our own hold ends here. All paths but the one it is known by are relative, since a socket's path has a short limit.
pub(crate) fn start(folder: &Folder, vm: &Vm, lock: Lock, offers: Vec<Offer>) -> io::Result<Child> {
    let log = log_file(folder, name::QEMU_LOG)?;
    folder.remove(name::QMP)?;
    folder.remove(name::QEMU_PID)?;
    folder.remove(name::CONSOLE)?;
    fcntl_setfd(lock.file(), FdFlags::empty())?;
    offers.iter().try_for_each(|offer| fcntl_setfd(&offer.connection, FdFlags::empty()))?;
    let child = Command::new(&vm.qemu)
        .args(arguments(folder, vm, &offers))
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn();
    drop((lock, offers));
    child
}

/// A log file of the folder, begun anew.
pub(crate) fn log_file(folder: &Folder, name: &str) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(folder.file(name))
}

/// All arguments.
fn arguments(folder: &Folder, vm: &Vm, offers: &[Offer]) -> Vec<String> {
    let mut arguments: Vec<String> = Vec::new();
    let mut add = |words: &[&str]| arguments.extend(words.iter().map(|word| (*word).to_owned()));
    add(&["-name", &vm.name, "-pidfile", &process::mark(folder)]);
    add(&["-nodefaults", "-no-user-config", "-display", "none"]);
    if offers.is_empty() {
        add(&["-machine", machine()]);
    } else {
        // The servers of shares read and write the machine's memory.
        let memory = format!("memory-backend-memfd,id=memory,size={}M,share=on", vm.memory_mib);
        add(&["-machine", &format!("{},memory-backend=memory", machine()), "-object", &memory]);
    }
    add(&["-accel", accelerator(vm.accelerator), "-cpu", processor(vm.accelerator)]);
    add(&["-smp", &vm.cpus.to_string(), "-m", &format!("{}M", vm.memory_mib)]);
    add(&["-rtc", "base=utc,clock=host", "-device", "virtio-rng-pci"]);
    add(&["-chardev", &format!("file,id=console,path={}", name::CONSOLE), "-serial", "chardev:console"]);
    add(&["-qmp", &format!("unix:{},server=on,wait=off", name::QMP)]);
    let restrict = if vm.offline { ",restrict=on" } else { "" };
    add(&["-netdev", &format!("user,id=net0{restrict}")]);
    add(&["-device", "virtio-net-pci,netdev=net0,romfile="]);
    let (format, serial) = match vm.boot {
        Boot::Guest { .. } => ("raw", "wharf-data"),
        Boot::Disk => ("qcow2", "wharf-root"),
    };
    add(&[
        "-drive",
        &format!("file={},format={format},if=none,id=disk,discard=unmap,detect-zeroes=unmap", name::DISK),
    ]);
    add(&["-device", &format!("virtio-blk-pci,drive=disk,serial={serial}")]);
    match vm.boot {
        Boot::Guest { .. } => {
            if cfg!(target_arch = "x86_64") {
                // A firmware that does nothing but load the kernel: seven tenths of a second sooner.
                add(&["-bios", "qboot.rom"]);
            }
            add(&["-kernel", name::KERNEL, "-initrd", name::INITRAMFS, "-append", &kernel_command_line(vm)]);
            let mut seeds = vec![
                ("hostname", name::SEED_HOST_NAME),
                ("authorized_key", name::SEED_AUTHORIZED_KEY),
                ("host_key", name::SEED_HOST_KEY),
            ];
            seeds.extend(vm.shares.as_ref().map(|_| ("shares", name::SEED_SHARES)));
            for (item, file) in seeds {
                add(&["-fw_cfg", &format!("name=opt/org.wharf/{item},file={file}")]);
            }
        }
        Boot::Disk => {
            let seed =
                format!("driver=vvfat,node-name=seed,dir={},label=CIDATA,read-only=on", name::SEED_FOLDER);
            add(&["-blockdev", &seed, "-device", "virtio-blk-pci,drive=seed"]);
        }
    }
    arguments.extend(share::arguments(vm.shares.as_deref().unwrap_or_default()));
    for Offer { number, connection } in offers {
        let descriptor = connection.as_raw_fd();
        arguments.extend([
            "-chardev".to_owned(),
            format!("socket,id=server{number},fd={descriptor}"),
            "-device".to_owned(),
            format!("vhost-user-fs-pci,chardev=server{number},tag=share{number}"),
        ]);
    }
    arguments
}

fn kernel_command_line(vm: &Vm) -> String {
    let console = if cfg!(target_arch = "aarch64") { "ttyAMA0" } else { "ttyS0" };
    // Emulated processors do not speculate.
    let mitigations = if vm.accelerator == Accelerator::Tcg { " mitigations=off" } else { "" };
    // Nobody traces this kernel or derives keys in it, and its self-tests cost more than they find here.
    format!(
        "console={console} quiet loglevel=3 panic=10 random.trust_cpu=on cryptomgr.notests \
         initcall_blacklist=crypto_kdf108_init,init_kprobe_trace rcupdate.rcu_expedited=1{mitigations}"
    )
}

const fn machine() -> &'static str {
    if cfg!(target_arch = "aarch64") { "virt" } else { "q35" }
}

const fn accelerator(accelerator: Accelerator) -> &'static str {
    match accelerator {
        Accelerator::Kvm => "kvm",
        Accelerator::Hvf => "hvf",
        Accelerator::Tcg => "tcg,thread=multi",
    }
}

const fn processor(accelerator: Accelerator) -> &'static str {
    match accelerator {
        Accelerator::Kvm | Accelerator::Hvf => "host",
        Accelerator::Tcg => "max",
    }
}

/// The last words of QEMU, to be shown when it did not start.
pub(crate) fn last_words(folder: &Path) -> String {
    let log = crate::folder::tail(&folder.join(name::QEMU_LOG), 2000).unwrap_or_default();
    log.lines().rev().take(5).collect::<Vec<_>>().into_iter().rev().collect::<Vec<_>>().join("; ")
}
