//! The SSH host key, replaced by one that nobody but the host has ever seen.
//!
//! A key that we made and handed over in user data can be read there. The new one is made on the host, its public half
//! comes over the session that the old one verified, and both are written down as good before sshd takes the new one.
//! A second connection proves it; from then on it is the only one.

use std::time::Instant;

use wharf_ssh::{Command, HostKey, HostKeys, Session};

use crate::progress::Progress;
use crate::remote::{self, as_root};
use crate::{Error, Facts, Init, Request};

/// Whether it is to be replaced. The guest of the local driver keeps its key: it is handed over where only the guest's
/// root can read it, who can read any host key.
pub(crate) fn wanted(facts: &Facts, request: &Request) -> bool {
    request.rotate_host_key && facts.init != Init::Folder
}

pub(crate) async fn rotate(
    session: &Session,
    facts: &Facts,
    request: &Request,
    progress: &Progress,
) -> Result<Vec<HostKey>, Error> {
    let on_host = |script| Command::new(as_root(facts.access, script));
    let made = remote::run(session, "making a host key", on_host(MAKE), request.deadline).await?;
    let new: HostKey = made.text().parse()?;
    progress.journal(vec![session.host_key().clone(), new.clone()]).await.map_err(Error::Journal)?;
    remote::run(session, "replacing the host key", on_host(REPLACE), request.deadline).await?;
    prove(request, &new).await?;
    progress.journal(vec![new.clone()]).await.map_err(Error::Journal)?;
    Ok(vec![new])
}

/// sshd reads its keys again a moment after it was told to; until then it shows the old one.
async fn prove(request: &Request, new: &HostKey) -> Result<(), Error> {
    let mut target = request.target.clone();
    target.host_keys = HostKeys::Pinned(vec![new.clone()]);
    loop {
        match Session::connect(&target, request.deadline).await {
            Err(wharf_ssh::Error::HostKeyMismatch { .. }) if Instant::now() + PAUSE < request.deadline => {
                tokio::time::sleep(PAUSE).await;
            }
            result => return Ok(result.map(drop)?),
        }
    }
}

const PAUSE: std::time::Duration = std::time::Duration::from_millis(100);

const MAKE: &str = "set -eu
key=/etc/ssh/wharf_host_ed25519_key
rm -f $key $key.pub
ssh-keygen -q -t ed25519 -N '' -C '' -f $key </dev/null
cat $key.pub
";

/// The new key takes the place of the ed25519 one and the other types go; cloud-init is told to leave it so.
const REPLACE: &str = "set -eu
new=/etc/ssh/wharf_host_ed25519_key
if [ -d /etc/cloud/cloud.cfg.d ]; then
    printf 'ssh_deletekeys: false\\nssh_genkeytypes: []\\n' >/etc/cloud/cloud.cfg.d/99-wharf.cfg
fi
mv -f $new.pub /etc/ssh/ssh_host_ed25519_key.pub
mv -f $new /etc/ssh/ssh_host_ed25519_key
for type in rsa ecdsa dsa; do rm -f /etc/ssh/ssh_host_${type}_key /etc/ssh/ssh_host_${type}_key.pub; done
if [ -d /run/systemd/system ]; then systemctl reload ssh.service 2>/dev/null || systemctl reload sshd.service
elif [ -r /run/sshd.pid ]; then kill -HUP \"$(cat /run/sshd.pid)\"
else rc-service sshd reload; fi
";
