//! The messages of TensorBoard's event files, as far as this writer needs them.
//! Source: TensorBoard 2.21, `compat/proto/{event,summary,tensor,tensor_shape}.proto` and
//! `plugins/hparams/{plugin_data,api}.proto`. All of these are stable formats.

use std::collections::BTreeMap;

use prost::{Message, Oneof};
use prost_types::Value;

/// The version of the files' format: the first event of each file says it.
pub(super) const FILE_VERSION: &str = "brain.Event:2";
/// `DT_FLOAT` of `types.proto`.
const FLOAT: i32 = 1;
/// `DATA_CLASS_TENSOR` of `summary.proto`.
const TENSOR: i32 = 2;

/// One event.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Event {
    /// Seconds since the Unix epoch.
    #[prost(double, tag = "1")]
    pub(super) wall_time: f64,
    #[prost(int64, tag = "2")]
    pub(super) step: i64,
    #[prost(oneof = "Content", tags = "3, 5")]
    pub(super) content: Option<Content>,
}

#[derive(Clone, PartialEq, Oneof)]
pub(super) enum Content {
    #[prost(string, tag = "3")]
    FileVersion(String),
    #[prost(message, tag = "5")]
    Summary(Summary),
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Summary {
    #[prost(message, repeated, tag = "1")]
    values: Vec<Tagged>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Tagged {
    #[prost(string, tag = "1")]
    tag: String,
    #[prost(float, optional, tag = "2")]
    simple_value: Option<f32>,
    #[prost(message, optional, tag = "8")]
    tensor: Option<Tensor>,
    #[prost(message, optional, tag = "9")]
    metadata: Option<Metadata>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Metadata {
    #[prost(message, optional, tag = "1")]
    plugin: Option<Plugin>,
    #[prost(int32, tag = "4")]
    data_class: i32,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Plugin {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(bytes = "vec", tag = "2")]
    content: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Tensor {
    #[prost(int32, tag = "1")]
    kind: i32,
    #[prost(message, optional, tag = "2")]
    shape: Option<Shape>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Shape {
    #[prost(message, repeated, tag = "2")]
    sides: Vec<Side>,
}

#[derive(Clone, Copy, PartialEq, Message)]
pub(super) struct Side {
    #[prost(int64, tag = "1")]
    length: i64,
}

/// The content of the plugin `hparams`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Parameters {
    #[prost(int32, tag = "1")]
    version: i32,
    #[prost(oneof = "Part", tags = "2, 3, 4")]
    part: Option<Part>,
}

#[derive(Clone, PartialEq, Oneof)]
pub(super) enum Part {
    #[prost(message, tag = "2")]
    Experiment(Experiment),
    #[prost(message, tag = "3")]
    Start(Start),
    #[prost(message, tag = "4")]
    End(End),
}

/// The columns of the plugin's table.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Experiment {
    #[prost(string, tag = "6")]
    pub(super) name: String,
    #[prost(message, repeated, tag = "4")]
    pub(super) parameters: Vec<ParameterInfo>,
    #[prost(message, repeated, tag = "5")]
    pub(super) metrics: Vec<MetricInfo>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct ParameterInfo {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(enumeration = "DataType", tag = "4")]
    pub(super) kind: i32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, prost::Enumeration)]
pub(super) enum DataType {
    Unset = 0,
    Text = 1,
    Number = 3,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct MetricInfo {
    #[prost(message, optional, tag = "1")]
    pub(super) name: Option<MetricName>,
    #[prost(string, tag = "3")]
    pub(super) title: String,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct MetricName {
    #[prost(string, tag = "2")]
    pub(super) tag: String,
}

/// The parameters of a run.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Start {
    #[prost(btree_map = "string, message", tag = "1")]
    pub(super) parameters: BTreeMap<String, Value>,
}

/// The end of a run.
#[derive(Clone, Copy, PartialEq, Message)]
pub(super) struct End {
    #[prost(enumeration = "Status", tag = "1")]
    pub(super) status: i32,
    #[prost(double, tag = "2")]
    pub(super) seconds: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, prost::Enumeration)]
pub(super) enum Status {
    Unknown = 0,
    Success = 1,
    Failure = 2,
}

impl Tagged {
    /// Returns a value of a curve.
    pub(super) fn scalar(tag: String, value: f64) -> Self {
        Self { tag, simple_value: Some(value as f32), tensor: None, metadata: None }
    }

    /// Returns content of the plugin `hparams`. Readers expect a tensor beside it: an empty one.
    pub(super) fn parameters(part: Part) -> Self {
        let tag = match part {
            Part::Experiment(_) => "_hparams_/experiment",
            Part::Start(_) => "_hparams_/session_start_info",
            Part::End(_) => "_hparams_/session_end_info",
        };
        let content = Parameters { version: 0, part: Some(part) }.encode_to_vec();
        let none = Shape { sides: vec![Side { length: 0 }] };
        Self {
            tag: tag.to_owned(),
            simple_value: None,
            tensor: Some(Tensor { kind: FLOAT, shape: Some(none) }),
            metadata: Some(Metadata {
                plugin: Some(Plugin { name: "hparams".to_owned(), content }),
                data_class: TENSOR,
            }),
        }
    }

    /// Returns the event with this value.
    pub(super) fn at(self, step: i64, wall_time: f64) -> Event {
        Event { wall_time, step, content: Some(Content::Summary(Summary { values: vec![self] })) }
    }
}
