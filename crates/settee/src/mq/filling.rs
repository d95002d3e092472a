//! How much one publish request may hold: the rule that the producer's batches and the relay's share.
//!
//! A request has to fit into a frame, and into what may wait at one partition: one that does not would be refused however often
//! it is sent, and an outbox would be stuck behind it.

use super::control::MAX_PUBLISH;

/// Bytes of the messages of one request, as they are stored, give or take the last message: well below a frame.
const REQUEST_BYTES: usize = 1 << 20;

/// A publish request that is being filled.
#[derive(Debug, Default)]
pub(super) struct Filling {
    messages: usize,
    bytes: usize,
}

impl Filling {
    /// Counts one more message of `bytes`. `false`: the request was full, and the message is the first of the next.
    pub(super) fn takes(&mut self, bytes: usize) -> bool {
        let is_full = self.messages == MAX_PUBLISH || (self.messages > 0 && self.bytes + bytes > REQUEST_BYTES);
        if is_full {
            *self = Self::default();
        }
        self.messages += 1;
        self.bytes += bytes;
        !is_full
    }
}

#[cfg(test)]
mod tests {
    use settee_core::mq::record::MAX_RECORD_BYTES;
    use settee_wire::bolt::Limits;

    use super::*;

    #[test]
    fn a_request_ends_with_its_messages_or_with_its_bytes_and_one_message_always_fits() {
        let until_full = |bytes| {
            let mut filling = Filling::default();
            (0..).find(|_| !filling.takes(bytes)).unwrap()
        };
        assert_eq!([until_full(1), until_full(REQUEST_BYTES / 4), until_full(REQUEST_BYTES * 2)], [MAX_PUBLISH, 4, 1]);
        let mut filling = Filling::default();
        let taken = [1, REQUEST_BYTES, 1, 1].map(|bytes| filling.takes(bytes));
        assert_eq!(taken, [true, false, false, true], "what did not fit is counted in the next request");
    }

    #[test]
    fn the_largest_request_fits_a_frame_whatever_its_messages_are_made_of() {
        let largest = REQUEST_BYTES.max(MAX_RECORD_BYTES);
        assert!(largest * 2 < Limits::default().content_bytes, "MessagePack adds names and lengths, and never as much again");
    }
}
