//! placeholder
/// x
pub struct FakeSystem;
