//! A JSON object of which everything that nobody asks for stays as it is
//! written: numbers, order, what no reader here knows.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::value::{RawValue, to_raw_value};

/// The members, in order; no name is there twice.
#[derive(Clone, Debug, Default)]
pub(super) struct Object(Vec<(String, Box<RawValue>)>);

impl Object {
    /// A member's text. `null` is as good as none.
    pub(super) fn raw(&self, name: &str) -> Option<&RawValue> {
        let found = self.0.iter().find(|(own, _)| own == name);
        found.map(|(_, value)| &**value).filter(|value| value.get() != "null")
    }

    /// A member, read; an error says which.
    pub(super) fn get<T: for<'de> Deserialize<'de>>(
        &self,
        name: &str,
    ) -> Result<Option<T>, String> {
        let read = self.raw(name).map(|raw| serde_json::from_str(raw.get())).transpose();
        read.map_err(|error| format!("{name}: {error}"))
    }

    /// Puts a member in its place, or at the end.
    pub(super) fn set(&mut self, name: &str, value: &impl Serialize) {
        // What is put here is text, numbers and objects: always JSON.
        let Ok(value) = to_raw_value(value) else { return };
        match self.0.iter_mut().find(|(own, _)| own == name) {
            Some((_, old)) => *old = value,
            None => self.0.push((name.to_owned(), value)),
        }
    }

    /// All members.
    pub(super) fn members(&self) -> impl Iterator<Item = (&str, &RawValue)> {
        self.0.iter().map(|(name, value)| (name.as_str(), &**value))
    }
}

impl Serialize for Object {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Object, D::Error> {
        from.deserialize_map(Members)
    }
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Object;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
        let mut members: Vec<(String, Box<RawValue>)> = Vec::new();
        while let Some((name, value)) = map.next_entry::<String, Box<RawValue>>()? {
            // Runtimes do not agree on which one counts.
            if members.iter().any(|(own, _)| *own == name) {
                return Err(A::Error::custom(format_args!("{name:?} is there twice")));
            }
            members.push((name, value));
        }
        Ok(Object(members))
    }
}
