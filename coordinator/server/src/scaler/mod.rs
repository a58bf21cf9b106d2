//! The autoscaler's interface (KEDA's `externalscaler.ExternalScaler`): reports how many slots of a device class are
//! wanted. It reads the backlog and changes nothing.

use std::pin::Pin;
use std::time::Duration;

use pretext_engine::ClassBacklog;
use pretext_engine::demand::Trigger;
use pretext_proto::externalscaler as pb;
use pretext_proto::externalscaler::external_scaler_server::ExternalScaler;
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use crate::core::Core;

/// Shortest time between two values of a stream.
const PACE: Duration = Duration::from_millis(200);

/// See the module.
pub struct ScalerService {
    core: Core,
}

impl ScalerService {
    /// Returns the service of this core.
    pub fn new(core: Core) -> Self {
        Self { core }
    }
}

fn trigger(object: &pb::ScaledObjectRef) -> Result<Trigger, Status> {
    Trigger::parse(&object.scaler_metadata).map_err(|error| Status::invalid_argument(error.to_string()))
}

async fn backlog(core: &Core, trigger: Trigger) -> Result<ClassBacklog, Status> {
    let backlog = core.call(|engine, now| engine.backlog(now.mono)).await;
    Ok(backlog.map_err(|error| Status::unavailable(error.to_string()))?.class(trigger.class))
}

#[tonic::async_trait]
impl ExternalScaler for ScalerService {
    async fn is_active(&self, request: Request<pb::ScaledObjectRef>) -> Result<Response<pb::IsActiveResponse>, Status> {
        let trigger = trigger(request.get_ref())?;
        let result = trigger.is_active(backlog(&self.core, trigger).await?);
        Ok(Response::new(pb::IsActiveResponse { result }))
    }

    type StreamIsActiveStream = Pin<Box<dyn Stream<Item = Result<pb::IsActiveResponse, Status>> + Send>>;

    async fn stream_is_active(
        &self,
        request: Request<pb::ScaledObjectRef>,
    ) -> Result<Response<Self::StreamIsActiveStream>, Status> {
        let trigger = trigger(request.get_ref())?;
        let core = self.core.clone();
        let (answers, stream) = tokio::sync::mpsc::channel(1);
        tokio::spawn(async move {
            let mut changes = core.changes();
            let mut last = None;
            loop {
                changes.mark_unchanged();
                let active = backlog(&core, trigger).await.map(|backlog| trigger.is_active(backlog));
                let over = active.is_err();
                let now = active.as_ref().ok().copied();
                if over || now != last {
                    last = now;
                    let answer = active.map(|result| pb::IsActiveResponse { result });
                    if answers.send(answer).await.is_err() || over {
                        return;
                    }
                }
                tokio::select! {
                    () = answers.closed() => return,
                    () = tokio::time::sleep(PACE) => {}
                }
                let woken = tokio::select! {
                    () = answers.closed() => return,
                    woken = changes.changed() => woken,
                };
                if woken.is_err() {
                    return;
                }
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(stream))))
    }

    async fn get_metric_spec(
        &self,
        request: Request<pb::ScaledObjectRef>,
    ) -> Result<Response<pb::GetMetricSpecResponse>, Status> {
        let trigger = trigger(request.get_ref())?;
        let spec = pb::MetricSpec {
            metric_name: trigger.metric(),
            target_size: i64::from(trigger.slots_per_worker),
            target_size_float: f64::from(trigger.slots_per_worker),
        };
        Ok(Response::new(pb::GetMetricSpecResponse { metric_specs: vec![spec] }))
    }

    async fn get_metrics(
        &self,
        request: Request<pb::GetMetricsRequest>,
    ) -> Result<Response<pb::GetMetricsResponse>, Status> {
        let request = request.into_inner();
        let object = request.scaled_object_ref.unwrap_or_default();
        let trigger = trigger(&object)?;
        if request.metric_name != trigger.metric() {
            return Err(Status::invalid_argument(format!("the metric of this trigger is `{}`", trigger.metric())));
        }
        let demand = trigger.demand(backlog(&self.core, trigger).await?);
        let value = pb::MetricValue {
            metric_name: trigger.metric(),
            metric_value: demand as i64,
            metric_value_float: demand as f64,
        };
        Ok(Response::new(pb::GetMetricsResponse { metric_values: vec![value] }))
    }
}
