//! What an account must be allowed for this driver to do all that it can: the actions of a minimal role. The book's tests
//! hold it to what is called at a simulated cloud that grants nothing else.

/// One action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Right {
    /// As a role names it.
    pub action: &'static str,
    /// What it is asked for.
    pub what_for: &'static str,
    /// Whether a plain life of machines calls it; the others are asked for by Azure itself, or go with an option.
    pub always: bool,
}

const fn always(action: &'static str, what_for: &'static str) -> Right {
    Right { action, what_for, always: true }
}

const fn sometimes(action: &'static str, what_for: &'static str) -> Right {
    Right { action, what_for, always: false }
}

/// Every action, in the order of their names.
#[rustfmt::skip]
pub const RIGHTS: &[Right] = &[
    always("Microsoft.Compute/disks/delete", "`rm`: the system disk"),
    always("Microsoft.Compute/disks/read", "what is there: `rm`, `gc`"),
    sometimes("Microsoft.Compute/disks/write", "asked for by Azure when a machine with a managed disk is made"),
    always("Microsoft.Compute/locations/publishers/artifacttypes/offers/skus/versions/read", "which images there are"),
    always("Microsoft.Compute/locations/usages/read", "what the quota has left"),
    always("Microsoft.Compute/locations/vmSizes/read", "which sizes a stamp offers"),
    sometimes("Microsoft.Compute/register/action", "once a subscription, where the provider is not registered yet"),
    always("Microsoft.Compute/skus/read", "which sizes are offered, and what they can do"),
    always("Microsoft.Compute/virtualMachines/deallocate/action", "`stop`"),
    always("Microsoft.Compute/virtualMachines/delete", "`rm`"),
    always("Microsoft.Compute/virtualMachines/powerOff/action", "`kill`"),
    always("Microsoft.Compute/virtualMachines/read", "what is there: every command"),
    always("Microsoft.Compute/virtualMachines/restart/action", "`restart`"),
    sometimes("Microsoft.Compute/virtualMachines/retrieveBootDiagnosticsData/action", "the console's tail, when a machine does not answer"),
    always("Microsoft.Compute/virtualMachines/start/action", "`start`"),
    always("Microsoft.Compute/virtualMachines/write", "the machine, and tags that were taken off"),
    sometimes("Microsoft.ManagedIdentity/userAssignedIdentities/assign/action", "`--azure-identity`; asked for by Azure"),
    always("Microsoft.Network/networkInterfaces/delete", "`rm`"),
    sometimes("Microsoft.Network/networkInterfaces/join/action", "asked for by Azure when a machine is made"),
    always("Microsoft.Network/networkInterfaces/read", "what is there"),
    always("Microsoft.Network/networkInterfaces/write", "the network interface"),
    always("Microsoft.Network/networkSecurityGroups/delete", "`rm` of the last machine"),
    sometimes("Microsoft.Network/networkSecurityGroups/join/action", "asked for by Azure when an interface is made"),
    always("Microsoft.Network/networkSecurityGroups/read", "who may reach a machine"),
    always("Microsoft.Network/networkSecurityGroups/securityRules/delete", "`allow --revoke`"),
    always("Microsoft.Network/networkSecurityGroups/securityRules/read", "whether a rule holds yet"),
    always("Microsoft.Network/networkSecurityGroups/securityRules/write", "`allow`"),
    always("Microsoft.Network/networkSecurityGroups/write", "the firewall that the store's machines share"),
    always("Microsoft.Network/publicIPAddresses/delete", "`rm`"),
    sometimes("Microsoft.Network/publicIPAddresses/join/action", "asked for by Azure when an interface is made"),
    always("Microsoft.Network/publicIPAddresses/read", "where a machine is reached"),
    always("Microsoft.Network/publicIPAddresses/write", "the public address"),
    sometimes("Microsoft.Network/register/action", "once a subscription, where the provider is not registered yet"),
    always("Microsoft.Network/virtualNetworks/delete", "`rm` of the last machine"),
    always("Microsoft.Network/virtualNetworks/read", "what is there"),
    sometimes("Microsoft.Network/virtualNetworks/subnets/join/action", "asked for by Azure when an interface is made"),
    always("Microsoft.Network/virtualNetworks/write", "the network that the store's machines share"),
    always("Microsoft.Resources/subscriptions/providers/read", "which versions are spoken here"),
    always("Microsoft.Resources/subscriptions/read", "whose the subscription is"),
    always("Microsoft.Resources/subscriptions/resourceGroups/delete", "`rm` of the last machine, where wharf made the group"),
    always("Microsoft.Resources/subscriptions/resourceGroups/read", "what is there"),
    always("Microsoft.Resources/subscriptions/resourceGroups/write", "the group; not where one that is there is named"),
];
