//! A table serialises as a map from resource name to value, so that files
//! written by one version are read by another whatever the order.

use core::fmt;
use core::marker::PhantomData;

use serde::de::{Error, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{PerResource, Resource};

impl<T: Serialize> Serialize for PerResource<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(Resource::COUNT))?;
        for (resource, value) in self.iter() {
            map.serialize_entry(&resource, value)?;
        }
        map.end()
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for PerResource<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Table(PhantomData))
    }
}

struct Table<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Table<T> {
    type Value = PerResource<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map with one entry for each of the 21 resources")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut values: PerResource<Option<T>> = PerResource::from_fn(|_| None);
        while let Some((resource, value)) = map.next_entry::<Resource, T>()? {
            if values[resource].replace(value).is_some() {
                return Err(A::Error::duplicate_field(resource.name()));
            }
        }
        if let Some((resource, _)) = values.iter().find(|(_, value)| value.is_none()) {
            return Err(A::Error::missing_field(resource.name()));
        }
        Ok(PerResource(values.0.map(|value| value.expect("every entry was checked above"))))
    }
}
