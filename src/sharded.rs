use crate::TokenId;

/// One `T` for each first character of an id, so that no lock is shared by all requests. The
/// character is an ASCII code, 62 of which occur equally often.
pub(crate) struct Sharded<T>([T; 128]);

impl<T: Default> Default for Sharded<T> {
    fn default() -> Self {
        Self(core::array::from_fn(|_| T::default()))
    }
}

impl<T> Sharded<T> {
    /// How many shards are used.
    pub(crate) const COUNT: usize = 62;

    pub(crate) fn of(&self, id: &TokenId) -> &T {
        let [first_character, ..] = id.as_bytes();
        let [any, ..] = &self.0;
        self.0.get(usize::from(*first_character)).unwrap_or(any)
    }

    pub(crate) fn iter(&self) -> core::slice::Iter<'_, T> {
        self.0.iter()
    }
}
