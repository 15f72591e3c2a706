//! What the guest is made of, on distributions that are not this one: apt-cache is played.

#![expect(clippy::expect_used, clippy::unwrap_used, reason = "all of this is a test")]

use std::io::Write as _;
use std::process::{Command, Output};

/// Runs `guest/packages.sh` where apt-cache knows these packages, each with what it depends on.
fn packages(architecture: &str, known: &[(&str, &[&str])]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let mut script = String::from("#!/bin/sh\nverb=$1; shift; for name in \"$@\"; do :; done\n");
    // Asked recursively, apt-cache lists what everything that was named depends on.
    script.push_str("case \" $* \" in *' --recurse '*) printf '%s\\n' dropbear-bin libc6 '<debconf>' zlib1g e2fsprogs libext2fs2t64; exit;; esac\n");
    script.push_str("case $name in\n");
    for (name, depends) in known {
        let lines: String = depends.iter().map(|on| format!("echo '  Depends: {on}';")).collect();
        script.push_str(&format!("{name}) [ $verb = show ] || {{ echo {name}; {lines} }} ;;\n"));
    }
    script.push_str("*) exit 100 ;;\nesac\n");
    let fake = folder.path().join("apt-cache");
    wharf_testkit::script(&fake, &script).unwrap();
    let path = std::env::var("PATH").expect("a PATH");
    Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/guest/packages.sh"))
        .arg(architecture)
        .env("PATH", format!("{}:{path}", folder.path().display()))
        .output()
        .unwrap()
}

fn list(output: &Output) -> Vec<String> {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
}

#[test]
fn debian_has_one_kernel_with_9p_and_its_modules() {
    let known: &[(&str, &[&str])] = &[
        ("linux-image-amd64", &["linux-image-6.1.0-56-amd64"]),
        ("linux-image-cloud-amd64", &["linux-image-6.1.0-56-cloud-amd64"]),
    ];
    let list = list(&packages("amd64", known));
    assert_eq!(list[0], "linux-image-6.1.0-56-amd64");
    assert!(!list.iter().any(|name| name.starts_with("linux-modules")), "{list:?}");
    for name in ["busybox-static", "dropbear-bin", "e2fsprogs", "libc6", "libext2fs2t64", "zlib1g"] {
        assert!(list.contains(&name.to_owned()), "{name} is not in {list:?}");
    }
    assert!(list.iter().all(|name| !name.contains('<')), "virtual packages cannot be downloaded: {list:?}");
}

/// What `kernel.sh` makes of a file of this name.
fn kernel(file: &std::path::Path) -> Vec<u8> {
    let output =
        Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/guest/kernel.sh")).arg(file).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

#[test]
fn only_a_kernel_that_is_packed_by_xz_is_unpacked() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("vmlinuz");
    let mut xz = Command::new("xz");
    xz.args(["-c", "--check=crc32"]);
    let mut xz = xz.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped()).spawn().unwrap();
    xz.stdin.take().unwrap().write_all(b"the kernel itself").unwrap();
    let packed = xz.wait_with_output().unwrap().stdout;
    for (payload, unpacked) in [(&packed[..], true), (b"packed otherwise", false)] {
        // A loader of four sectors and the first one, then code, then what is packed, with its size behind it.
        let mut image = vec![0; 5 * 512 + 64];
        image[0x1f1] = 4;
        image[0x202..0x206].copy_from_slice(b"HdrS");
        image[0x248..0x24c].copy_from_slice(&64_u32.to_le_bytes());
        image[0x24c..0x250].copy_from_slice(&u32::try_from(payload.len() + 4).unwrap().to_le_bytes());
        image.extend_from_slice(payload);
        image.extend_from_slice(&17_u32.to_le_bytes());
        image.extend_from_slice(b"more code");
        std::fs::File::create(&file).unwrap().write_all(&image).unwrap();
        assert_eq!(kernel(&file), if unpacked { b"the kernel itself".to_vec() } else { image });
    }
}

#[test]
fn ubuntu_has_a_virtual_kernel_and_its_modules_apart() {
    let known: &[(&str, &[&str])] = &[
        ("linux-image-generic", &["linux-image-6.8.0-45-generic", "linux-firmware"]),
        ("linux-image-virtual", &["linux-base", "linux-image-6.8.0-45-generic"]),
        ("linux-modules-6.8.0-45-generic", &[]),
        ("linux-modules-extra-6.8.0-45-generic", &[]),
    ];
    for architecture in ["amd64", "arm64"] {
        let list = list(&packages(architecture, known));
        assert_eq!(list[..2], ["linux-image-6.8.0-45-generic", "linux-modules-6.8.0-45-generic"]);
    }
}

#[test]
fn an_old_ubuntu_has_a_kvm_kernel() {
    let known: &[(&str, &[&str])] =
        &[("linux-image-kvm", &["linux-image-5.15.0-1066-kvm"]), ("linux-modules-5.15.0-1066-kvm", &[])];
    let list = list(&packages("amd64", known));
    assert_eq!(list[..2], ["linux-image-5.15.0-1066-kvm", "linux-modules-5.15.0-1066-kvm"]);
}

#[test]
fn without_package_lists_it_says_what_to_do() {
    let output = packages("amd64", &[]);
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("run: apt-get update"));
    assert!(!packages("riscv64", &[]).status.success());
}
