//! The local driver: a virtual machine on this computer, run by QEMU without root.
//!
//! A machine is a folder: a sparse disk, a copy of the guest's kernel and initramfs, a seed, and beside the running
//! machine one [`supervise`] process that owns QEMU. The guest is our own (`guest/`): a distribution's kernel and an
//! initramfs, up in seconds; or any cloud image with cloud-init, by `--local-image`.
//!
//! The network is QEMU's user networking: the machine reaches what this computer reaches, and nobody reaches it but
//! through ports of 127.0.0.1. SSH's and the engine's port are picked once and asked for again at every start;
//! ports that containers publish come and go with them, those on the machine's own loopback included. The guest never
//! reaches QEMU's control socket: it is a file of this computer, in a folder that only its owner may enter.
//!
//! Folders of this computer are seen in the machine at the same paths (`share.rs`), and the engine there is told of them:
//! it refuses a bind of what it does not see instead of making an empty folder.
//!
//! Removal is safe at any moment, whoever was killed before: see [`Local`] and the order of locks in `folder.rs`.
#![forbid(unsafe_code)]

mod accelerate;
mod action;
mod cloud_image;
mod config;
mod driver;
mod folder;
mod forward;
mod image;
mod launch;
mod process;
mod qemu;
mod qmp;
mod resource;
mod share;
mod supervisor;
mod virtiofs;

pub use action::{Action, Boot, Disk, Vm};
pub use config::{Accelerator, Config};
pub use driver::Local;
pub use resource::Resource;
pub use share::Share;
pub use supervisor::supervise;
pub use virtiofs::Virtiofsd;
