//! The day's work: `ls`, `status`, power, `rm`, `version`, `active`.

use insta::assert_snapshot;

use crate::sandbox::Sandbox;

#[test]
fn machines_are_listed_in_the_order_people_expect() {
    let sandbox = Sandbox::new();
    assert_snapshot!(sandbox.run(&["ls"]), @r"
    $ wharf ls
    NAME   ACTIVE   DRIVER   STATE   URL   DOCKER   ERRORS
    ! there are no machines yet: `wharf create NAME` makes one
    ");
    sandbox.run(&["create", "web10", "web2", "db"]);
    sandbox.run(&["stop", "web2"]);
    assert_snapshot!(sandbox.run(&["ls"]), @r"
    $ wharf ls
    NAME    ACTIVE   DRIVER   STATE     URL                    DOCKER   ERRORS
    db      -        memory   Running   tcp://192.0.2.7:2376   v0.1.0
    web2    -        memory   Stopped   tcp://192.0.2.7:2376   v0.1.0
    web10   -        memory   Running   tcp://192.0.2.7:2376   v0.1.0
    ");
    assert_snapshot!(sandbox.run(&["ls", "-q", "--filter", "name=^web"]), @r"
    $ wharf ls -q --filter name=^web
    web2
    web10
    ");
    assert_snapshot!(sandbox.run(&["ls", "-q", "--filter", "state=stopped"]), @r"
    $ wharf ls -q --filter state=stopped
    web2
    ");
    assert_snapshot!(sandbox.run(&["ls", "-q", "--filter", "driver=memory", "--filter", "name=db", "--filter", "name=10"]), @r"
    $ wharf ls -q --filter driver=memory --filter name=db --filter name=10
    db
    web10
    ");
    let rows: serde_json::Value = serde_json::from_str(&sandbox.run(&["ls", "-o", "json"]).stdout).unwrap();
    assert_eq!(
        rows[0],
        serde_json::json!({
            "name": "db", "active": false, "driver": "memory", "state": "Running", "url": "tcp://192.0.2.7:2376",
            "docker": "0.1.0", "warnings": [], "errors": [],
        })
    );
}

#[test]
fn power_is_said_in_a_word() {
    let sandbox = Sandbox::with(&["web"]);
    assert_snapshot!(sandbox.run(&["status", "web"]), @r"
    $ wharf status web
    Running
    ");
    assert_snapshot!(sandbox.run(&["stop", "web"]), @r"
    $ wharf stop web
    ! web: stopping it
    ! web: stopped (N s)
    ");
    assert_snapshot!(sandbox.run(&["status", "web"]), @r"
    $ wharf status web
    Stopped
    ");
    assert_snapshot!(sandbox.run(&["start"]), @r"
    $ wharf start
    ! web: starting it
    ! web: waiting for its address
    ! web: started (N s)
    ");
    assert_snapshot!(sandbox.run(&["restart", "web"]), @r"
    $ wharf restart web
    ! web: restarting it
    ! web: waiting for its address
    ! web: restarted (N s)
    ");
    assert_snapshot!(sandbox.run(&["kill", "web"]), @r"
    $ wharf kill web
    ! web: killing it
    ! web: killed (N s)
    ");
    assert_snapshot!(sandbox.run(&["status", "web", "-o", "json"]), @r#"
    $ wharf status web -o json
    [
      {
        "name": "web",
        "summary": {
          "name": "web",
          "id": "ID",
          "driver": "memory",
          "life": "ready",
          "url": "tcp://192.0.2.7:2376",
          "made": 0
        },
        "state": "stopped",
        "engine": {
          "version": "0.1.0",
          "api_version": "1.51"
        },
        "warnings": [],
        "notes": [],
        "errors": []
      }
    ]
    "#);
}

#[test]
fn engines_are_renewed_in_place() {
    let sandbox = Sandbox::with(&["web"]);
    assert_snapshot!(sandbox.run(&["provision", "web"]), @r"
    $ wharf provision web
    ! web: waiting for its address
    ! web: bringing the agent to it
    ! web: uploading the agent
    ! web: provisioned (N s)
    ");
    assert_snapshot!(sandbox.run(&["regenerate-certs", "-f", "web"]), @r"
    $ wharf regenerate-certs -f web
    ! web: making new certificates
    ! web: has new certificates (N s)
    ");
    assert_snapshot!(sandbox.run(&["version", "web"]), @r"
    $ wharf version web
    wharfd 0.1.0 (API 1.51)
    ");
    assert_snapshot!(sandbox.run(&["version"]), @r"
    $ wharf version
    wharf 0.1.0
    ");
}

#[test]
fn without_a_system_ssh_a_command_runs_over_a_session_of_our_own() {
    let sandbox = Sandbox::with(&["web"]).env("PATH", "/nowhere");
    assert_snapshot!(sandbox.run(&["ssh", "web", "ls", "-la", "a  b"]), @r"
    $ wharf ssh web ls -la a  b
    ran: ls -la a  b
    [exit 7]
    ");
    assert_snapshot!(sandbox.run(&["ssh", "web"]), @r"
    $ wharf ssh web
    ! error: there is no `ssh` on PATH, which a shell needs
    ! hint: install the OpenSSH client
    [exit 1]
    ");
}

#[test]
fn removing_asks_first() {
    let sandbox = Sandbox::with(&["web", "db"]);
    assert_snapshot!(sandbox.run(&["rm", "web"]), @r"
    $ wharf rm web
    ! error: nobody is there to confirm that web may be removed
    ! hint: -y removes without asking
    [exit 2]
    ");
    assert_snapshot!(sandbox.answer(&["rm", "web", "db"], "n\n").stderr, @r"
    This removes web, db: the machine, its containers and their data. Go on? [y/N] error: nothing was removed
    hint: answer `y`, or give -y
    ");
    assert_snapshot!(sandbox.run(&["ls", "-q"]), @r"
    $ wharf ls -q
    db
    web
    ");
    assert_eq!(sandbox.answer(&["rm", "web"], "yes\n").code, 0);
    assert_snapshot!(sandbox.run(&["rm", "-f", "db"]), @r"
    $ wharf rm -f db
    ! db: finding out what an earlier command left
    ! db: removing it
    ! db: remove db-ID-vm
    ! db: removed (N s)
    ");
    assert_snapshot!(sandbox.run(&["ls", "-q"]), @"$ wharf ls -q");
}

#[test]
fn the_active_machine_is_the_one_docker_talks_to() {
    let sandbox = Sandbox::with(&["web"]);
    assert_snapshot!(sandbox.run(&["active"]), @r#"
    $ wharf active
    ! error: `docker` in this terminal talks to no machine of ours
    ! hint: eval "$(wharf env NAME)" for this terminal, `wharf context --use NAME` for all
    [exit 1]
    "#);
    sandbox.run(&["context", "--use", "web"]);
    assert_snapshot!(sandbox.run(&["active"]), @r"
    $ wharf active
    web
    ");
    let sandbox = sandbox.env("DOCKER_HOST", "tcp://elsewhere:2376");
    assert_eq!(sandbox.run(&["active"]).code, 1);
    let sandbox = sandbox.env("DOCKER_HOST", "tcp://192.0.2.7:2376");
    assert_snapshot!(sandbox.run(&["active"]), @r"
    $ wharf active
    web
    ");
}

#[test]
fn help_lists_every_verb_and_code() {
    let help = Sandbox::new().run(&["--help"]);
    assert_snapshot!(help, @r"
    $ wharf --help
    Makes machines that the docker client on this computer can use, over mutual TLS

    Usage: wharf [OPTIONS] <COMMAND>

    Commands:
      create            Makes machines and brings the agent to them
      adopt             Takes over a host that exists, after showing what will be done to it
      ls                Lists machines
      env               Prints what points the docker client in this terminal at a machine
      context           Writes or refreshes machines' docker contexts, and prints their names
      ssh               Opens a shell on a machine, or runs a command there
      scp               Copies files between this computer and machines
      mount             Mounts a folder of a machine's here, by sshfs, or takes such a mount away
      tunnel            Leads a port of this computer to a machine's engine, over SSH
      start             Starts machines that are stopped
      stop              Stops machines gently; their data stays
      restart           Restarts machines gently
      kill              Stops machines at once, as by pulling the plug
      rm                Removes machines, with everything wharf made for them
      gc                Finds what is left in clouds and belongs to no machine; --yes removes it
      plan              Shows what `apply` would change; exit code 11 if anything
      apply             Makes a fleet's machines what its file says
      destroy           Removes all machines of a fleet
      store             Makes a store that a team and its jobs share; whom its keys are encrypted to
      unlock            Frees the lock of a machine or fleet in a shared store, whose holder is gone
      status            Prints the state that machines are in
      ip                Prints machines' addresses
      url               Prints the value of DOCKER_HOST for machines
      config            Prints the docker client's flags for a machine, one a line
      inspect           Prints everything known of a machine, as JSON; no secrets
      active            Prints the machine that `docker` in this terminal talks to
      logs              Prints what a machine's agent says of itself; `docker logs` prints what
                        containers say
      allow             Lets this computer in to machines, from the address that it has now
      certs             Lists and renews certificates, issues one to a colleague or a job, and takes it
                        back
      cloud             Sets up, lists and forgets clouds that machines are made in
      doctor            Looks at this computer, the store and every machine: what is wrong, why, and the
                        command that mends it
      import            Takes over machines of a bundle (see `wharf export`) or of docker-machine,
                        without touching them
      export            Writes machines, with their journals and keys, into one encrypted file that
                        another store imports
      provision         Brings the agent to machines again; what is right already stays as it is
      upgrade           Puts this program's agent in the place of machines' agents; containers go on
      regenerate-certs  Makes new certificates for machines, without restarting their engines
      version           Prints the version of this program, or of a machine's engine
      completions       Prints the script that completes wharf's command line in a shell
      schema            Prints the JSON Schema of fleet files, for editors

    Options:
      -h, --help     Print help
      -V, --version  Print version

    Global options:
      -D, --debug               Say on stderr what is done at every step; never a secret [env:
                                WHARF_DEBUG]
      -o, --output <FORMAT>     What results look like: text for eyes, json for programs
          --events <json>       What stderr says, for programs: one JSON object a line
      -s, --store <PLACE>       Where machines are kept: a folder [env: WHARF_HOME], or s3://… or
                                azblob://… for a team [env: WHARF_STORE]
          --config <FILE>       The configuration file [env: WHARF_CONFIG]
          --agent <FILE>        The agent's executable, instead of the one beside the program [env:
                                WHARF_AGENT]
          --keyring <auto|off>  Where private keys are kept: auto is the system's keyring where there is
                                one, off is files [env: WHARF_KEYRING]
          --identity <FILE>     Who you are to a shared store with recipients: an age identity or an SSH
                                private key [env: WHARF_IDENTITY]
          --timeout <TIME>      How long the command may take: 90, 90s, 1m30s [env: WHARF_TIMEOUT]

    Exit codes:
       0 done               4 no such machine                     8 quota or capacity
       1 failed             5 unreachable                         9 locked by another command
       2 usage              6 host key mismatch                  10 some of several failed
       3 refused before     7 not signed in or not allowed       11 changes are pending
         anything was made                                       12 a hook failed

    Start here:  wharf create demo  &&  docker --context demo run --rm hello-world
    ");
}

#[test]
fn templates_say_what_is_printed() {
    let sandbox = Sandbox::new();
    sandbox.run(&["create", "web", "--engine-label", "site=home"]);
    sandbox.run(&["create", "db"]);
    sandbox.run(&["stop", "db"]);
    assert_snapshot!(sandbox.run(&["ls", "-t", "5", "--format", r"table {{.Name}}\t{{.State}}\t{{.DockerVersion}}"]), @r"
    $ wharf ls -t 5 --format table {{.Name}}\t{{.State}}\t{{.DockerVersion}}
    NAME   STATE     DOCKER
    db     Stopped   v0.1.0
    web    Running   v0.1.0
    ");
    assert_snapshot!(sandbox.run(&["ls", "-f", "{{.Name}}: {{.DriverName}} {{.URL}} {{.ActiveHost}} {{json .EngineOptions.Labels}}"]), @r#"
    $ wharf ls -f {{.Name}}: {{.DriverName}} {{.URL}} {{.ActiveHost}} {{json .EngineOptions.Labels}}
    db: memory tcp://192.0.2.7:2376 false []
    web: memory tcp://192.0.2.7:2376 false ["site=home"]
    "#);
    assert_snapshot!(sandbox.run(&["ls", "-f", "{{.Nmae}}"]), @r"
    $ wharf ls -f {{.Nmae}}
    ! error: the template is wrong: map has no entry for key: Nmae
    ! hint: a Go template, such as '{{.Name}} is {{.State}}', or 'table {{.Name}}\t{{.URL}}'
    [exit 2]
    ");
    assert_snapshot!(sandbox.run(&["ls", "-f", "{{.Name"]), @r"
    $ wharf ls -f {{.Name
    ! error: the template is wrong: template: 1:8: unclosed action
    ! hint: a Go template, such as '{{.Name}} is {{.State}}', or 'table {{.Name}}\t{{.URL}}'
    [exit 2]
    ");
    let took = sandbox.run(&["ls", "-f", "{{.ResponseTime}}", "--filter", "name=web"]).stdout;
    assert!(took.trim().ends_with('s') && took.starts_with(|c: char| c.is_ascii_digit()), "{took}");
    assert_snapshot!(sandbox.run(&["inspect", "web", "-f", "{{.Name}} {{.Driver.IPAddress}}:{{.Driver.SSHPort}} {{.Driver.SSHUser}} {{.DriverName}}"]), @r"
    $ wharf inspect web -f {{.Name}} {{.Driver.IPAddress}}:{{.Driver.SSHPort}} {{.Driver.SSHUser}} {{.DriverName}}
    web 192.0.2.7:22 root memory
    ");
    assert_snapshot!(sandbox.run(&["inspect", "--format", "{{prettyjson .HostOptions.EngineOptions}}", "web"]), @r#"
    $ wharf inspect --format {{prettyjson .HostOptions.EngineOptions}} web
    {
        "ArbitraryFlags": [],
        "Env": [],
        "InsecureRegistry": [],
        "Labels": [
            "site=home"
        ],
        "RegistryMirror": [],
        "TlsVerify": true
    }
    "#);
    assert_snapshot!(sandbox.run(&["inspect", "--format", "{{.HostOptions.AuthOptions.CaCertPath}} {{.summary.life}}", "web"]), @r"
    $ wharf inspect --format {{.HostOptions.AuthOptions.CaCertPath}} {{.summary.life}} web
    HOME/.local/share/wharf/machines/web/ca.pem ready
    ");
}
