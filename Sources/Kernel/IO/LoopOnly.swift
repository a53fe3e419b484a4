/// Carries what belongs to the event loop through another thread, untouched, and back to the loop.
struct LoopOnly<Value>: @unchecked Sendable {
  let value: Value
  init(_ value: Value) { self.value = value }
}
