//! What an account must be allowed for this driver to do all that it can: the actions of a minimal policy. Held to the
//! calls in this crate's sources by the test below, in builds without the SDK, too.

use wharf_driver::Right;

/// Every action, in the order of their names.
pub const RIGHTS: &[Right] = &[
    Right::sometimes("ec2:AllocateAddress", "`--aws-elastic-address`"),
    Right::sometimes("ec2:AssociateAddress", "`--aws-elastic-address`"),
    Right::always("ec2:AuthorizeSecurityGroupIngress", "letting clients in to the machines' security group"),
    Right::always("ec2:CreateSecurityGroup", "the security group that the store's machines share"),
    Right::always("ec2:CreateTags", "the owner's tags, in the creating calls and when they were taken off"),
    Right::always("ec2:DeleteSecurityGroup", "`rm` of the last machine"),
    Right::always("ec2:DescribeAddresses", "what is there: `ls`, `gc`, `rm`"),
    Right::always("ec2:DescribeImages", "what the image is called, and how big it is"),
    Right::always("ec2:DescribeInstanceTypeOfferings", "which types the region's zones offer"),
    Right::always("ec2:DescribeInstanceTypes", "what a type can do"),
    Right::always("ec2:DescribeInstances", "what is there: every command"),
    Right::always("ec2:DescribeNetworkInterfaces", "what still uses a security group"),
    Right::always("ec2:DescribeSecurityGroups", "what is there, and who may reach it"),
    Right::always("ec2:DescribeSubnets", "where a machine can be"),
    Right::always("ec2:DescribeVpcs", "where a machine can be"),
    Right::sometimes("ec2:DisassociateAddress", "`rm` after `--aws-elastic-address`"),
    Right::sometimes("ec2:GetConsoleOutput", "the console's tail, when a machine does not answer"),
    Right::sometimes("ec2:RebootInstances", "`restart`"),
    Right::sometimes("ec2:ReleaseAddress", "`rm` after `--aws-elastic-address`"),
    Right::always("ec2:RevokeSecurityGroupIngress", "`allow`: taking an address back"),
    Right::always("ec2:RunInstances", "the machine"),
    Right::sometimes("ec2:StartInstances", "`start`"),
    Right::sometimes("ec2:StopInstances", "`stop` and `kill`"),
    Right::always("ec2:TerminateInstances", "`rm`"),
    Right::always("ec2:UpdateSecurityGroupRuleDescriptionsIngress", "`allow`: whose rule it is"),
    Right::sometimes("iam:PassRole", "`--aws-iam-instance-profile`; EC2 itself asks for it"),
    Right::always(
        "ssm:GetParameter",
        "which image is its publisher's current one; not with `--aws-ami ami-…`",
    ),
    Right::always("sts:GetCallerIdentity", "who is signed in; every identity may ask that"),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::{Path, PathBuf};

    use super::RIGHTS;

    /// Every source file of the driver.
    fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).expect("a folder of ours").flatten() {
            let path = entry.path();
            if path.is_dir() { sources(&path, found) } else { found.push(path) }
        }
    }

    /// The first word in quotes after each place where `front` stands.
    fn quoted(text: &str, front: &str) -> Vec<String> {
        let after = text.split(front).skip(1);
        after.filter_map(|rest| Some(rest.split_once('"')?.0.to_owned())).collect()
    }

    #[test]
    fn what_is_called_is_what_is_listed() {
        let mut files = Vec::new();
        sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut files);
        let mut called = BTreeSet::new();
        for file in files.iter().filter(|file| !file.ends_with("rights.rs")) {
            let text = std::fs::read_to_string(file).expect("a source file");
            let ec2 = quoted(&text, "connection.call(\"");
            called.extend(ec2.into_iter().map(|api| format!("ec2:{api}")));
            called.extend(quoted(&text, "sort(\"sts\", \"").into_iter().map(|api| format!("sts:{api}")));
            called.extend(quoted(&text, "const API: &str = \"").into_iter().map(|api| format!("ssm:{api}")));
        }
        assert!(called.len() > 20, "the search found too little to be true: {called:?}");
        // EC2 asks for it on the caller's behalf.
        called.insert("iam:PassRole".to_owned());
        let listed: BTreeSet<String> = RIGHTS.iter().map(|right| right.action.to_owned()).collect();
        assert_eq!(called, listed);
        assert!(RIGHTS.is_sorted_by_key(|right| right.action));
    }
}
