//! What every [`TokenStore`](crate::TokenStore) must do: one function for each promise of its
//! contract.
//!
//! Each takes an empty store and panics, with a message, where the store breaks the promise.
//!
//! Those that run several calls at once run them in one task, so a store whose futures are ready
//! when first polled is not raced. Not shown by any: that what is acknowledged survives a crash,
//! that other processes see it, how many changes and events are kept, and that no thread is
//! blocked. Test these as your back end needs.

mod batches;
mod changes;
mod events;
mod lists;
mod prune;
mod records;
mod usage;

pub use self::{batches::*, changes::*, events::*, lists::*, prune::*, records::*, usage::*};

/// Makes the tests of the conformance suite, one for each function of
/// [`testing::conformance`](crate::testing::conformance).
///
/// Takes the attribute that makes a test of an `async fn`, and an expression for an empty store
/// and whatever must outlive it, as a pair. The expression may `.await`.
#[macro_export]
macro_rules! conformance_tests {
    ($(#[$attribute:meta])+ $open:expr) => {
        $crate::conformance_tests! {
            @each [$(#[$attribute])+] $open;
            a_batch_is_written_whole
            each_update_of_a_batch_is_one_change
            a_batch_with_a_conflict_writes_nothing
            expectations_are_about_what_was_before
            a_batch_without_records_changes_none
            one_of_many_concurrent_batches_wins
            batches_that_exclude_each_other_do_not_both_happen
            a_reader_sees_a_batch_whole
            a_reader_begins_with_a_reset
            changes_come_in_order_and_in_pages
            a_page_of_changes_is_as_long_as_is_asked_for
            a_refused_update_is_no_change
            a_reader_between_writers_misses_no_change
            a_record_read_between_writers_is_as_new_as_its_revision
            a_cursor_of_another_history_is_reset
            a_record_is_as_new_as_its_revision
            every_event_comes_back_as_it_was_written
            events_come_newest_first_and_in_pages
            events_are_of_one_token
            events_need_no_record
            events_of_concurrent_writes_are_all_kept
            list_is_newest_first
            list_filters_by_project_and_owner
            pages_cover_every_record_once
            prune_deletes_what_has_ended_and_no_more
            usage_is_pruned_with_its_record
            events_are_not_pruned
            a_record_comes_back_as_it_was_written
            extreme_values_come_back_as_they_were_written
            an_unknown_id_is_not_found
            insert_refuses_an_id_that_exists
            update_replaces_the_record
            update_refuses_another_version
            update_refuses_a_missing_record
            one_of_many_concurrent_updates_wins
            one_of_many_concurrent_inserts_wins
            usage_comes_back_as_it_was_written
            usage_is_of_one_token
            usage_never_goes_back
            the_latest_of_concurrent_usages_stays
            usage_of_unknown_tokens_is_ignored
            usage_is_no_change
        }
    };
    (@each $attributes:tt $open:expr; $($name:ident)+) => {
        $($crate::conformance_tests! { @one $attributes $open; $name })+
    };
    (@one [$($attribute:tt)+] $open:expr; $name:ident) => {
        $($attribute)+
        async fn $name() {
            let (store, _guard) = $open;
            $crate::testing::conformance::$name(&store).await;
        }
    };
}
