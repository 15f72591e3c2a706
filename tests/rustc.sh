#!/usr/bin/env bash
# rustc for the builds of tests/run.sh: of crates that describe a whole cloud, and of which little is called, it leaves the
# code of each function to whoever calls it. That halves the time and the memory that the SDK for EC2 takes. The flag is
# not stable yet: where a compiler doesn't know it, the crate is compiled without. (bash hands on variables with a hyphen
# in their names, which cargo sets; other shells drop them.)

# Compilers take memory by the gigabyte: in large pages, where the kernel has them, they need an eighth less time.
export MALLOC_CONF=thp:always,metadata_thp:always
case " $* " in
    *" --crate-type lib "*)
        # It is compiled with its tests, too, and linted there: by rustc alone it takes a sixth less.
        [ "$1" != clippy-driver ] || shift
        ;;&
    *" --crate-name aws_sdk_ec2 "* | *" --crate-name azure_mgmt_compute "*)
        RUSTC_BOOTSTRAP=1 "$@" -Zhint-mostly-unused && exit
        ;;
esac
exec "$@"
