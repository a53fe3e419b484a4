import System
import Wire

/// What has been streamed of one answer and has not been sent: text, in which pieces are merged, and steps in between. A value.
struct HeldAnswer {
  /// Steps, each with the text that comes before it.
  private var steps = Deque<(text: HeldText, payload: [UInt8])>()
  private var stepBytes = 0
  /// The text behind the last step.
  private var tail = HeldText()

  /// So many bytes wait.
  var count: Int { stepBytes + tail.count }

  mutating func append(_ text: [UInt8]) { tail.append(text) }

  /// `payload` is that of a `delta`.
  mutating func append(step payload: [UInt8]) {
    stepBytes += tail.count + payload.count
    steps.append((tail, payload))
    tail = HeldText()
  }

  /// Takes out the payload of the next `delta`, with text of about so many bytes at most. Nil: there is none.
  mutating func next(isLast: Bool, atMost limit: Int) -> [UInt8]? {
    guard var step = steps.popFirst() else { return tail.next(isLast: isLast, atMost: limit).map(Self.payload) }
    let before = step.text.count
    // Nothing more comes before the step.
    guard let text = step.text.next(isLast: true, atMost: limit) else {
      stepBytes -= step.payload.count
      return step.payload
    }
    stepBytes -= before - step.text.count
    steps.prepend(step)
    return Self.payload(text)
  }

  private static func payload(_ text: String) -> [UInt8] {
    var payload: [UInt8] = []
    payload.append(#"{"text":"#)
    payload.appendJSON(text)
    payload.append(0x7d)
    return payload
  }
}
