# What makes an executable static, in the environment of a cargo that is told --target "$target". To be sourced.
target=$(rustc -vV | sed -n 's/^host: //p')
multiarch=$(gcc -print-multiarch 2>/dev/null || echo "$(uname -m)-linux-gnu")
for folder in "/usr/lib/$multiarch" /usr/lib64 /usr/lib /usr/local/lib; do
    [ -e "$folder/libseccomp.a" ] && break
done
if [ ! -e "$folder/libseccomp.a" ]; then
    echo "libseccomp.a is missing, which the agent is linked with; on Debian and Ubuntu: apt-get install libseccomp-dev" >&2
    exit 1
fi
# The explicit target keeps the static flags away from procedural macros, which are shared libraries.
# At a fixed address, as dockerd and runc are: relocated, each shim would have a megabyte of tables to itself, and every
# start would wait until they are written.
export RUSTFLAGS="-C target-feature=+crt-static -C relocation-model=static"
export LIBSECCOMP_LINK_TYPE=static LIBSECCOMP_LIB_PATH="$folder"
