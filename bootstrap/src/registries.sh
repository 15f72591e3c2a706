# Standard input: `@HOST` begins the file of a registry, its lines follow. What is ours and not among them goes.
certs=/etc/wharf/certs.d named=/ new=
ours() { [ -r "$1" ] && IFS= read -r first <"$1" && [ "$first" = '# brought by wharf' ]; }
put() {
    [ "$new" ] || return 0
    if [ -e "$at/ca.crt" ] && ! ours "$at/ca.crt"; then mv -f "$at/ca.crt" "$at/ca.crt.before"; fi
    mv -f "$new" "$at/ca.crt"
}
while IFS= read -r line; do
    case $line in
        @*)
            put
            at=$certs/${line#@} new=$certs/${line#@}/.ca.crt.new named=$named${line#@}/
            mkdir -p "$at"
            : >"$new" ;;
        *) printf '%s\n' "$line" >>"$new" ;;
    esac
done
put
for file in "$certs"/*/ca.crt; do
    ours "$file" || continue
    at=${file%/ca.crt}
    case $named in *"/${at##*/}/"*) continue ;; esac
    rm -f "$file"
    if [ -e "$file.before" ]; then mv -f "$file.before" "$file"; fi
    rmdir "$at" 2>/dev/null || :
done
rmdir "$certs" 2>/dev/null || :
