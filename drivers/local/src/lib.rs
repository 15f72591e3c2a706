//! A virtual machine on this computer, run by QEMU without root.
