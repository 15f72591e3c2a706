//! Whether a store heeds the conditions that everything here is made of, found out by trying: some that speak S3 ignore
//! the header, and would let two holders have one lock.

use std::sync::Arc;

use futures_util::future::join_all;
use object_store::path::Path;
use object_store::{
    Error as StoreError, ObjectStore, ObjectStoreExt as _, PutMode, PutOptions, UpdateVersion,
};
use wharf_core::{Error, Kind, Result};

use crate::bucket::failed;

/// Writes to `key` and takes it away again.
///
/// # Errors
/// Refused when the store ignores a condition, and what it says when it does not do as asked at all.
pub async fn prove(objects: &Arc<dyn ObjectStore>, key: &Path) -> Result<()> {
    let proven = conditions(objects, key).await;
    let removed = objects.delete(key).await;
    proven?;
    removed.map_err(|error| failed("remove", key, &error))
}

async fn conditions(objects: &Arc<dyn ObjectStore>, key: &Path) -> Result<()> {
    let put = async |text: &'static str, mode: PutMode| {
        let options = PutOptions { mode, ..PutOptions::default() };
        match objects.put_opts(key, text.into(), options).await {
            Ok(done) => Ok(Some(UpdateVersion { e_tag: done.e_tag, version: done.version })),
            Err(StoreError::AlreadyExists { .. } | StoreError::Precondition { .. }) => Ok(None),
            Err(error) => Err(failed("write", key, &error)),
        }
    };
    let contest = ["one", "two", "three", "four"].map(|text| put(text, PutMode::Create));
    let mut won = Vec::new();
    for end in join_all(contest).await {
        won.extend(end?);
    }
    let Ok([first]) = <[_; 1]>::try_from(won) else {
        return Err(ignores("writing an object only if there is none", "If-None-Match"));
    };
    let second = put("five", PutMode::Update(first.clone())).await?;
    let second = second.ok_or_else(|| ignores("recognising the object that it wrote itself", "If-Match"))?;
    let stale = put("six", PutMode::Update(first)).await?;
    let there = objects.get(key).await.map_err(|error| failed("read", key, &error))?;
    let there = there.bytes().await.map_err(|error| failed("read", key, &error))?;
    if stale.is_some() || there != "five" || put("seven", PutMode::Update(second)).await?.is_none() {
        return Err(ignores("replacing an object only if it is still the one that was read", "If-Match"));
    }
    Ok(())
}

fn ignores(what: &str, header: &'static str) -> Error {
    Error::new(Kind::Refused, format!("this store is not capable of {what}"))
        .fact("ignored", header)
        .hint("two commands would change one machine at the same time there: use a store that heeds conditional writes")
}
