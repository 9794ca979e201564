//! What an app's answers have taught so far in this process: quirks, and the form of PATCH that it takes.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use rollcall_domain::app::capability::{Capabilities, Support};
use rollcall_domain::app::quirk::AppQuirk;

use crate::app_client::patch_form::PatchForm;

/// How many requests in all may be tried in every form before an app's refusals are taken for what they say.
const MOST_TRIED: u32 = 5;

/// How often a removal must have failed until another way is tried.
const FAILED_OFTEN: u32 = 3;

/// What was learned of one app.
#[derive(Debug, Default)]
pub struct Experience(Mutex<Learned>);

#[derive(Debug, Default)]
struct Learned {
    quirks: BTreeSet<AppQuirk>,
    form: Option<PatchForm>,
    tried: u32,
    hides_members: bool,
    /// How often a removal of a member was refused, or confirmed and without effect.
    failed_removals: u32,
    by_value: bool,
}

impl Experience {
    fn with<T>(&self, work: impl FnOnce(&mut Learned) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// An answer had these quirks.
    pub fn saw(&self, quirks: BTreeSet<AppQuirk>) {
        if !quirks.is_empty() {
            self.with(|learned| learned.quirks.extend(quirks));
        }
    }

    /// Whether an answer ever had a quirk.
    pub fn has(&self, can: &Capabilities, quirk: AppQuirk) -> bool {
        can.quirks.contains(&quirk) || self.with(|learned| learned.quirks.contains(&quirk))
    }

    /// Groups do not show their members, and answer by filter who is in them.
    pub fn members_are_hidden(&self) {
        self.with(|learned| learned.hides_members = true);
    }

    /// Whether groups are known not to show their members.
    pub fn hides_members(&self, can: &Capabilities) -> bool {
        can.members_shown == Support::No
            || (can.members_shown == Support::Unknown && self.with(|learned| learned.hides_members))
    }

    /// A removal of a member by path was refused, or confirmed and without effect; whether that was so often that it is neither
    /// chance nor the app being late.
    pub fn failed_removal(&self) -> bool {
        self.with(|learned| {
            learned.failed_removals = learned.failed_removals.saturating_add(1);
            learned.failed_removals >= FAILED_OFTEN
        })
    }

    /// A member was removed by value, and nobody else.
    pub fn removes_by_value_indeed(&self) {
        self.with(|learned| learned.by_value = true);
    }

    /// Whether members are removed by value.
    pub fn removes_by_value(&self, can: &Capabilities) -> bool {
        can.removal_by_value == Support::Yes
            || (can.removal_by_value == Support::Unknown && self.with(|learned| learned.by_value))
    }

    /// The form that a PATCH has taken before, in this process or by what is known.
    pub fn form(&self, can: &Capabilities) -> PatchForm {
        self.with(|learned| learned.form).unwrap_or_else(|| PatchForm::of(can))
    }

    /// The app took a PATCH of this form.
    pub fn took(&self, form: PatchForm) {
        self.with(|learned| learned.form = Some(form));
    }

    /// Whether another form may be tried after a refusal: not when one was ever taken.
    pub fn may_try(&self) -> bool {
        self.with(|learned| {
            learned.tried += 1;
            learned.form.is_none() && learned.tried <= MOST_TRIED
        })
    }

    /// What is known with what was learned on top.
    pub fn over(&self, known: &Capabilities) -> Capabilities {
        let mut now = known.clone();
        self.with(|learned| {
            now.quirks.extend(learned.quirks.iter().copied());
            if learned.by_value {
                now.removal_by_value = Support::Yes;
            }
            if learned.hides_members {
                now.members_shown = Support::No;
            }
            // That the usual form is taken is no news.
            if let Some(form) = learned.form.filter(|form| *form != PatchForm::of(known)) {
                now.patch_capitalized = Support::from(form.capitalized());
                now.patch_paths = Support::from(form.paths());
                now.patch_many = Support::from(form.many());
            }
        });
        now
    }
}
