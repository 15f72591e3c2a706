//! `wharf env` and `wharf config`.

use insta::assert_snapshot;

use crate::sandbox::Sandbox;

#[test]
fn every_shell_is_spoken() {
    let sandbox = Sandbox::with(&["web"]);
    assert_snapshot!(sandbox.run(&["env", "web"]), @r#"
    $ wharf env web
    export DOCKER_TLS_VERIFY="1"
    export DOCKER_HOST="tcp://192.0.2.7:2376"
    export DOCKER_CERT_PATH="HOME/.local/share/wharf/machines/web"
    export DOCKER_MACHINE_NAME="web"
    # Run this command to configure your shell: 
    # eval $(wharf env web)
    "#);
    assert_snapshot!(sandbox.run(&["env", "--shell", "fish", "web"]), @r#"
    $ wharf env --shell fish web
    set -gx DOCKER_TLS_VERIFY "1";
    set -gx DOCKER_HOST "tcp://192.0.2.7:2376";
    set -gx DOCKER_CERT_PATH "HOME/.local/share/wharf/machines/web";
    set -gx DOCKER_MACHINE_NAME "web";
    # Run this command to configure your shell: 
    # eval (wharf env --shell fish web)
    "#);
    assert_snapshot!(sandbox.run(&["env", "--shell", "powershell", "web"]), @r#"
    $ wharf env --shell powershell web
    $Env:DOCKER_TLS_VERIFY = "1"
    $Env:DOCKER_HOST = "tcp://192.0.2.7:2376"
    $Env:DOCKER_CERT_PATH = "HOME/.local/share/wharf/machines/web"
    $Env:DOCKER_MACHINE_NAME = "web"
    # Run this command to configure your shell: 
    # & wharf env --shell powershell web | Invoke-Expression
    "#);
    assert_snapshot!(sandbox.run(&["env", "--shell", "cmd", "web"]), @r#"
    $ wharf env --shell cmd web
    SET DOCKER_TLS_VERIFY=1
    SET DOCKER_HOST=tcp://192.0.2.7:2376
    SET DOCKER_CERT_PATH=HOME/.local/share/wharf/machines/web
    SET DOCKER_MACHINE_NAME=web
    REM Run this command to configure your shell: 
    REM 	@FOR /f "tokens=*" %i IN ('wharf env --shell cmd web') DO @%i
    "#);
    assert_snapshot!(sandbox.run(&["env", "--shell", "tcsh", "web"]), @r#"
    $ wharf env --shell tcsh web
    setenv DOCKER_TLS_VERIFY "1";
    setenv DOCKER_HOST "tcp://192.0.2.7:2376";
    setenv DOCKER_CERT_PATH "HOME/.local/share/wharf/machines/web";
    setenv DOCKER_MACHINE_NAME "web";
    : Run this command to configure your shell: 
    : eval `wharf env --shell tcsh web`
    "#);
    assert_snapshot!(sandbox.run(&["env", "--shell", "emacs", "web"]), @r#"
    $ wharf env --shell emacs web
    (setenv "DOCKER_TLS_VERIFY" "1")
    (setenv "DOCKER_HOST" "tcp://192.0.2.7:2376")
    (setenv "DOCKER_CERT_PATH" "HOME/.local/share/wharf/machines/web")
    (setenv "DOCKER_MACHINE_NAME" "web")
    ;; Run this command to configure your shell: 
    ;; (with-temp-buffer (shell-command "wharf env --shell emacs web" (current-buffer)) (eval-buffer))
    "#);
    assert_snapshot!(sandbox.run(&["env", "--unset"]), @r"
    $ wharf env --unset
    unset DOCKER_TLS_VERIFY
    unset DOCKER_HOST
    unset DOCKER_CERT_PATH
    unset DOCKER_MACHINE_NAME
    # Run this command to configure your shell: 
    # eval $(wharf env --unset)
    ");
    let fish = sandbox.env("SHELL", "/usr/bin/fish");
    assert_snapshot!(fish.run(&["env", "-u"]), @r"
    $ wharf env -u
    set -e DOCKER_TLS_VERIFY;
    set -e DOCKER_HOST;
    set -e DOCKER_CERT_PATH;
    set -e DOCKER_MACHINE_NAME;
    # Run this command to configure your shell: 
    # eval (wharf env -u)
    ");
}

#[test]
fn the_only_machine_needs_no_name() {
    let one = Sandbox::with(&["web"]);
    assert_snapshot!(one.run(&["url"]), @r"
    $ wharf url
    tcp://192.0.2.7:2376
    ");
    let two = Sandbox::with(&["web2", "web10"]);
    assert_snapshot!(two.run(&["url"]), @r"
    $ wharf url
    ! error: which machine? There are several, and none is called `default`
    ! hint: name one of web2, web10
    [exit 2]
    ");
    let none = Sandbox::new();
    assert_snapshot!(none.run(&["env"]), @r"
    $ wharf env
    ! error: there are no machines yet
    ! hint: `wharf create NAME` makes one
    [exit 4]
    ");
    let usual = Sandbox::with(&["web", "default"]);
    assert_snapshot!(usual.run(&["env"]), @r#"
    $ wharf env
    export DOCKER_TLS_VERIFY="1"
    export DOCKER_HOST="tcp://192.0.2.7:2376"
    export DOCKER_CERT_PATH="HOME/.local/share/wharf/machines/default"
    export DOCKER_MACHINE_NAME="default"
    # Run this command to configure your shell: 
    # eval $(wharf env)
    "#);
}

#[test]
fn the_proxy_is_told_once() {
    let sandbox = Sandbox::with(&["web"]);
    let line = |ended: crate::sandbox::Ended| ended.stdout.lines().nth(4).unwrap().to_owned();
    assert_eq!(line(sandbox.run(&["env", "--no-proxy", "web"])), "export NO_PROXY=\"192.0.2.7\"");
    let sandbox = sandbox.env("no_proxy", "localhost");
    assert_eq!(line(sandbox.run(&["env", "--no-proxy", "web"])), "export no_proxy=\"localhost,192.0.2.7\"");
    let sandbox = sandbox.env("no_proxy", "localhost, 192.0.2.7");
    assert_eq!(line(sandbox.run(&["env", "--no-proxy", "web"])), "export no_proxy=\"localhost, 192.0.2.7\"");
}

#[test]
fn config_is_for_the_docker_client() {
    assert_snapshot!(Sandbox::with(&["web"]).run(&["config", "web"]), @r#"
    $ wharf config web
    --tlsverify
    --tlscacert="HOME/.local/share/wharf/machines/web/ca.pem"
    --tlscert="HOME/.local/share/wharf/machines/web/cert.pem"
    --tlskey="HOME/.local/share/wharf/machines/web/key.pem"
    -H=tcp://192.0.2.7:2376
    "#);
}
