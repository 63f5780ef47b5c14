//! The Operations service for servers that can cancel operations and nothing else.

use async_trait::async_trait;
use goma_proto::longrunning::{
    CancelOperationRequest, DeleteOperationRequest, GetOperationRequest, ListOperationsRequest,
    ListOperationsResponse, Operation, WaitOperationRequest, operations_server,
};
use goma_proto::protobuf::Empty;
use tonic::{Request, Response, Status};

/// Who can give up an operation.
#[async_trait]
pub trait Cancel: Send + Sync + 'static {
    /// Gives up the operation of this name.
    ///
    /// # Errors
    /// `NotFound` when there is none.
    async fn cancel(&self, name: String) -> Result<(), Status>;
}

/// Serves CancelOperation by what it wraps. Of operations there are no lists, and whoever waits for one
/// does so by WaitExecution.
pub struct CancelOnly<T>(pub T);

#[async_trait]
impl<T: Cancel> operations_server::Operations for CancelOnly<T> {
    async fn cancel_operation(
        &self,
        request: Request<CancelOperationRequest>,
    ) -> Result<Response<Empty>, Status> {
        self.0.cancel(request.into_inner().name).await?;
        Ok(Response::new(Empty {}))
    }

    async fn list_operations(
        &self,
        _: Request<ListOperationsRequest>,
    ) -> Result<Response<ListOperationsResponse>, Status> {
        Err(Status::unimplemented("there is no list of operations"))
    }

    async fn get_operation(
        &self,
        _: Request<GetOperationRequest>,
    ) -> Result<Response<Operation>, Status> {
        Err(Status::unimplemented("use WaitExecution"))
    }

    async fn delete_operation(
        &self,
        _: Request<DeleteOperationRequest>,
    ) -> Result<Response<Empty>, Status> {
        Err(Status::unimplemented("operations are forgotten in time"))
    }

    async fn wait_operation(
        &self,
        _: Request<WaitOperationRequest>,
    ) -> Result<Response<Operation>, Status> {
        Err(Status::unimplemented("use WaitExecution"))
    }
}
