//! The objects and their history.

use std::collections::{BTreeMap, VecDeque};

use serde_json::{Value, json};

/// Events remembered; watches from before the oldest are told that their version is gone.
const HISTORY_MAX: usize = 10_000;

/// A resource that is served.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Kind {
    /// `discovery.k8s.io/v1`.
    EndpointSlice,
    /// `v1`.
    Pod,
    /// `apps/v1`.
    ReplicaSet,
    /// `v1`.
    Service,
}

impl Kind {
    const ALL: [Self; 4] = [
        Self::EndpointSlice,
        Self::Pod,
        Self::ReplicaSet,
        Self::Service,
    ];

    /// As objects name it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::EndpointSlice => "EndpointSlice",
            Self::Pod => "Pod",
            Self::ReplicaSet => "ReplicaSet",
            Self::Service => "Service",
        }
    }

    /// As paths and Roles name it.
    #[must_use]
    pub const fn plural(self) -> &'static str {
        match self {
            Self::EndpointSlice => "endpointslices",
            Self::Pod => "pods",
            Self::ReplicaSet => "replicasets",
            Self::Service => "services",
        }
    }

    pub(crate) const fn group(self) -> &'static str {
        match self {
            Self::EndpointSlice => "discovery.k8s.io",
            Self::ReplicaSet => "apps",
            Self::Pod | Self::Service => "",
        }
    }

    pub(crate) const fn api_version(self) -> &'static str {
        match self {
            Self::EndpointSlice => "discovery.k8s.io/v1",
            Self::ReplicaSet => "apps/v1",
            Self::Pod | Self::Service => "v1",
        }
    }

    pub(crate) fn of(api_version: &str, plural: &str) -> Option<Self> {
        let mut all = Self::ALL.into_iter();
        all.find(|kind| kind.api_version() == api_version && kind.plural() == plural)
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

/// Where an object is.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Key {
    kind: Kind,
    namespace: String,
    name: String,
}

/// Something that watches are told.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) version: u64,
    pub(crate) kind: Kind,
    pub(crate) news: News,
}

#[derive(Clone, Debug)]
pub(crate) enum News {
    Added(Value),
    Modified(Value),
    Deleted(Value),
    Bookmark,
    /// A line that is said as it is.
    Raw(String),
}

#[derive(Debug, Default)]
pub(crate) struct Store {
    version: u64,
    /// Watches from before are told that their version is gone.
    floor: u64,
    /// No watch can begin before this.
    compacted: u64,
    objects: BTreeMap<Key, Value>,
    history: VecDeque<Event>,
}

impl Store {
    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    /// Objects in order of their names.
    pub(crate) fn all(&self, kind: Kind, namespace: &str) -> impl Iterator<Item = &Value> {
        let here = move |(key, _): &(&Key, &Value)| key.kind == kind && key.namespace == namespace;
        self.objects.iter().filter(here).map(|(_, object)| object)
    }

    pub(crate) fn apply(&mut self, kind: Kind, mut object: Value) {
        let key = key(kind, &object);
        self.version += 1;
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        let before = self.objects.insert(key, object.clone());
        let news = match before {
            None => News::Added(object),
            Some(_) => News::Modified(object),
        };
        self.remember(kind, news);
    }

    /// Changes a part of an object; without effect where there is none.
    pub(crate) fn patch(&mut self, kind: Kind, namespace: &str, name: &str, patch: &Value) {
        let is_it = |object: &&Value| text(object, "/metadata/name") == name;
        let object = self.all(kind, namespace).find(is_it).cloned();
        if let Some(mut object) = object {
            merge(&mut object, patch);
            self.apply(kind, object);
        }
    }

    pub(crate) fn delete(&mut self, kind: Kind, namespace: &str, name: &str) {
        let key = Key {
            kind,
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        };
        if let Some(mut object) = self.objects.remove(&key) {
            self.version += 1;
            object["metadata"]["resourceVersion"] = json!(self.version.to_string());
            self.remember(kind, News::Deleted(object));
        }
    }

    /// What watches are told besides; it takes a version, as another object's change would.
    pub(crate) fn say(&mut self, kind: Kind, news: News) {
        self.version += 1;
        self.remember(kind, news);
    }

    /// All that happened so far is forgotten.
    pub(crate) fn forget(&mut self) {
        self.version += 1;
        self.floor = self.version;
        self.history.clear();
    }

    /// What happened so far can be no watch's beginning any more; those that are open go on.
    pub(crate) fn compact(&mut self) {
        self.compacted = self.version;
    }

    pub(crate) fn is_compacted(&self, version: u64) -> bool {
        version < self.compacted
    }

    /// What happened since; `None` where that is forgotten.
    pub(crate) fn since(&self, version: u64) -> Option<impl Iterator<Item = &Event>> {
        let later = move |event: &&Event| event.version > version;
        (version >= self.floor).then(|| self.history.iter().filter(later))
    }

    fn remember(&mut self, kind: Kind, news: News) {
        if self.history.len() == HISTORY_MAX
            && let Some(oldest) = self.history.pop_front()
        {
            self.floor = oldest.version;
        }
        self.history.push_back(Event {
            version: self.version,
            kind,
            news,
        });
    }
}

/// Text at this place of the object; empty where there is none.
pub(crate) fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    let found = object.pointer(pointer).and_then(Value::as_str);
    found.unwrap_or_default()
}

/// What is null in the patch goes, maps are merged, and all else takes the place of what was there.
fn merge(object: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        object.clone_from(patch);
        return;
    };
    if !object.is_object() {
        *object = json!({});
    }
    for (key, value) in patch {
        if value.is_null() {
            object.as_object_mut().and_then(|map| map.remove(key));
        } else {
            merge(&mut object[key], value);
        }
    }
}

fn key(kind: Kind, object: &Value) -> Key {
    Key {
        kind,
        namespace: text(object, "/metadata/namespace").to_owned(),
        name: text(object, "/metadata/name").to_owned(),
    }
}
