#!/usr/bin/env bash
# rustc for the builds of tests/run.sh: the same, for less work. (bash hands on variables with a hyphen in their names,
# which cargo sets; other shells drop them.)

# Compilers take memory by the gigabyte: in large pages, where the kernel has them, they need an eighth less time.
export MALLOC_CONF=thp:always,metadata_thp:always
case " $* " in
    *" --crate-type lib "*)
        # Ours are compiled with their tests, too, and linted there: by rustc alone they take a sixth less.
        [ "$1" != clippy-driver ] || shift
        ;;&
    *" --crate-name aws_sdk_ec2 "* | *" --crate-name azure_mgmt_compute "*)
        # These describe a whole cloud, and little of them is called: the code of each function is left to whoever calls
        # it. That halves the time and the memory that the SDK for EC2 takes. The flag is not stable yet: where a compiler
        # doesn't know it, the crate is compiled without.
        RUSTC_BOOTSTRAP=1 "$@" -Zhint-mostly-unused && exit
        ;;
esac
exec "$@"
