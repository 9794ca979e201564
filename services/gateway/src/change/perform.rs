//! Carries out one operation, whatever the type of its resource.

use rollcall_scim::{ResourceType, Selection, normalize};

use crate::auth::caller::Caller;
use crate::change::operation::{Done, Edit, Family, Operation};
use crate::change::version::Condition;
use crate::change::{groups, identities, resources};
use crate::error::Refusal;
use crate::state::GatewayState;

impl GatewayState {
    /// Does one operation.
    ///
    /// # Errors
    /// With what is wrong with it; nothing has changed then.
    pub async fn perform(
        &self,
        caller: &Caller,
        kind: &'static ResourceType,
        operation: &Operation,
        condition: &Condition,
        selection: &Selection,
    ) -> Result<Done, Refusal> {
        self.admit(caller, kind, operation).await?;
        let family = Family::of(kind);
        let mut reading = caller.reading();
        let (id, edit) = match operation {
            Operation::Create(body) => {
                let resource = normalize(body, kind, &mut reading)?;
                return match family {
                    Family::Identity(of) => identities::create(self, caller, kind, of, resource, reading).await,
                    Family::Group => groups::create(self, caller, kind, resource, reading, selection).await,
                    Family::Plain => resources::create(self, caller, kind, resource, reading).await,
                };
            }
            Operation::Delete(id) => {
                return match family {
                    Family::Identity(of) => identities::delete(self, caller, kind, of, id, condition).await,
                    Family::Group => groups::delete(self, caller, kind, id, condition).await,
                    Family::Plain => resources::delete(self, caller, kind, id, condition).await,
                };
            }
            Operation::Replace(id, body) => (id, Edit::replace(body, kind, &mut reading)?),
            Operation::Patch(id, body) => (id, Edit::patch(body, kind, &mut reading)?),
        };
        match family {
            Family::Identity(of) => identities::change(self, caller, kind, of, id, condition, &edit, reading).await,
            Family::Group => groups::change(self, caller, kind, id, condition, &edit, reading, selection).await,
            Family::Plain => resources::change(self, caller, kind, id, condition, &edit, reading).await,
        }
    }
}
