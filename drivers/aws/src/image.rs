//! Which image is meant: by id, by what its publisher says is current, or the newest of a name.

use aws_sdk_ec2::types::{Filter, ImageState};
use wharf_driver::{Error, Kind, Result};

use crate::client::Connection;
use crate::config;
use crate::parameter::parameter;

/// An image that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) id: String,
    /// `x86_64` or `arm64`.
    pub(crate) architecture: String,
    pub(crate) root_device: String,
    /// The least size of its system disk, where it says.
    pub(crate) size_gib: Option<i32>,
    pub(crate) name: String,
}

/// The image that `wished` means, for one of these architectures.
pub(crate) async fn find(
    connection: &Connection,
    wished: &config::Image,
    architecture: &str,
) -> Result<Found> {
    let call = connection.ec2.describe_images();
    let call = match wished {
        config::Image::Id(id) => call.image_ids(id),
        config::Image::Parameter { name, paths } => {
            let [intel, arm] = paths;
            let path = if architecture == "arm64" { arm } else { intel };
            let Some(id) = parameter(connection, path).await? else {
                let message = format!("there is no parameter `{path}` in {}", connection.region);
                return Err(Error::new(Kind::Refused, message).hint(format!(
                    "the publisher of {name} offers none there; name an image with --aws-ami ami-ID"
                )));
            };
            call.image_ids(id)
        }
        config::Image::Newest { owner, name } => call
            .owners(owner)
            .filters(Filter::builder().name("name").values(name).build())
            .filters(Filter::builder().name("architecture").values(architecture).build()),
    };
    let found = match connection.call("DescribeImages", call.send()).await {
        Ok(found) => found.images.unwrap_or_default(),
        Err(trouble) if trouble.is_not_found() || trouble.is("InvalidAMIID.Malformed") => Vec::new(),
        Err(trouble) => return Err(trouble.into()),
    };
    let usable = found.into_iter().filter(|image| !matches!(image.state(), Some(ImageState::Deregistered)));
    let newest = usable.max_by(|a, b| a.creation_date().cmp(&b.creation_date()));
    let Some(image) = newest else { return Err(missing(connection, wished)) };
    let root_device = image.root_device_name().unwrap_or("/dev/sda1").to_owned();
    let size_gib = image
        .block_device_mappings()
        .iter()
        .find(|mapping| mapping.device_name() == Some(&root_device))
        .and_then(|mapping| mapping.ebs()?.volume_size());
    Ok(Found {
        id: image.image_id().unwrap_or_default().to_owned(),
        architecture: image.architecture().map_or("x86_64", |one| one.as_str()).to_owned(),
        name: image.name().unwrap_or_default().to_owned(),
        root_device,
        size_gib,
    })
}

fn missing(connection: &Connection, wished: &config::Image) -> Error {
    let what = match wished {
        config::Image::Id(id) => format!("`{id}`"),
        config::Image::Parameter { name, .. } => format!("of `{name}`"),
        config::Image::Newest { owner, name } => format!("`{name}` of {owner}"),
    };
    Error::new(Kind::Refused, format!("there is no image {what} in {}", connection.region)).hint(
        "images are each region's own: --aws-ami ubuntu, debian and amazon-linux are in every one of them",
    )
}
