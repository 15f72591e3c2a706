//! Places as a person sets them up: what a survey finds, and which profile a machine's place has.

use wharf_driver::{AskKeyring, Factory, Kind, Profile, Reference, Session, Survey};
use wharf_driver_azure::Azure;
use wharf_sim::Flavour;
use wharf_testkit::World as _;
use wharf_testkit::suite::Desk;

use crate::world::Cloud;

async fn survey(cloud: Cloud) -> Survey {
    let desk = Desk::new(cloud).await;
    let survey = desk.driver.survey(&desk.cx).await.unwrap();
    assert_eq!(desk.world.count("PUT "), 0, "a survey makes nothing");
    survey
}

#[tokio::test]
async fn a_survey_says_what_a_profile_needs() {
    let flavours = [Flavour::Public, Flavour::UsGov, Flavour::Hub2020, Flavour::Hub2019];
    for flavour in flavours {
        let cloud =
            Cloud::new(flavour).with("azure-size", &["Standard_none", "Standard_B2s", "Standard_DS1_v2"]);
        let account = cloud.simulator.config().account.clone();
        let found = survey(cloud).await;
        let text = |flag: &str| found.settings.text(flag);
        assert_eq!(text("azure-subscription-id"), Some(account.subscription.as_str()), "{flavour}");
        let size = if flavour.is_hub() { "Standard_DS1_v2" } else { "Standard_B2s" };
        assert_eq!(found.settings.list("azure-size").first().map(String::as_str), Some(size), "{flavour}");
        assert!(found.settings.list("azure-image").iter().all(|image| image.starts_with("Canonical:")));
        assert_eq!(text("azure-auth"), Some("secret"), "{flavour}");
        // There are no tenants where AD FS signs people in.
        assert_eq!(text("azure-tenant-id").is_some(), !flavour.is_hub(), "{flavour}");
        let location = if flavour.is_hub() { "stamp1" } else { text("azure-location").unwrap() };
        assert_eq!(text("azure-location"), Some(location), "{flavour}");
        let is = &found.facts.iter().find(|(name, _)| *name == "is").unwrap().1;
        assert_eq!(is.contains("Stack"), flavour.is_hub(), "{is}");
    }
}

/// A session with these profiles of the place, whose environment signs nobody in.
fn signed_in_by(cloud: &Cloud, profiles: Vec<Profile>) -> Session {
    let wrong = [("AZURE_CLIENT_ID", "nobody"), ("AZURE_CLIENT_SECRET", "nothing")];
    let wrong = wrong.map(|(name, value)| (name.to_owned(), value.to_owned()));
    Session::new(cloud.clock()).with_environment(wrong.into()).with_profiles(profiles, AskKeyring::nobody())
}

fn profile(cloud: &Cloud, subscription: Option<&str>) -> Profile {
    let account = &cloud.simulator.config().account;
    let mut profile = Profile { name: "here".into(), driver: "azure".into(), ..Profile::default() };
    // As people write it, with a slash at the end.
    profile.settings.set("azure-endpoint", vec![format!("{}/", cloud.simulator.endpoint())]);
    profile.settings.set("azure-ca", vec![cloud.simulator.ca().display().to_string()]);
    if let Some(subscription) = subscription {
        profile.settings.set("azure-subscription-id", vec![subscription.to_owned()]);
    }
    let personal = [("AZURE_CLIENT_ID", &account.client), ("AZURE_CLIENT_SECRET", &account.secret)];
    for (name, value) in personal {
        profile.personal.insert(name.to_owned(), Reference::Text(value.clone()));
    }
    profile
}

#[tokio::test]
async fn the_profile_of_the_place_signs_in_whatever_it_is_called() {
    let cloud = Cloud::new(Flavour::Hub2020);
    let factory = Factory::of::<Azure>();
    // Its folders last as long as it does.
    let desk = Desk::new(Cloud::new(Flavour::Public)).await;
    let mut cx = desk.cx.clone();
    cx.deadline = cloud.clock().now() + cloud.deadline();
    let mut elsewhere = profile(&cloud, None);
    elsewhere.settings.set("azure-endpoint", vec!["https://management.elsewhere.example".into()]);
    let own = cloud.simulator.config().account.subscription.clone();
    for (profiles, good) in [
        (vec![], false),
        (vec![elsewhere.clone()], false),
        (vec![profile(&cloud, Some("00000000-0000-4000-8000-000000000001"))], false),
        (vec![elsewhere, profile(&cloud, None)], true),
        (vec![profile(&cloud, Some(&own.to_uppercase()))], true),
    ] {
        cx.session = signed_in_by(&cloud, profiles);
        // A machine that somebody else made, whose file of authorities is not on this computer.
        let mut config = cloud.config();
        if good {
            config["authority"] = "/elsewhere/ca.pem".into();
        }
        let connected = factory.connect(config, &cx).await;
        match connected {
            Ok(_) => assert!(good),
            Err(error) => {
                assert!(!good, "{error:?}");
                assert_eq!(error.kind(), Kind::NotAllowed, "{error:?}");
            }
        }
    }
}
