import CVector

/// A query of length 1, rounded to 16 bits, or fewer where the sums of a high dimension would not fit.
struct RoundedQuery {
  private let components: [Int16]
  private let scale: Float
  private let error: Float

  init(_ vector: [Float], padded: Int) {
    let length = vector.reduce(0.0) { $0 + Double($1) * Double($1) }.squareRoot()
    let largest = vector.reduce(0.0) { max($0, abs(Double($1))) } / length
    let steps = min(32767, Double(Int32.max / Int32(127 * padded)))
    let scale = Float(largest / steps)
    var components = [Int16](repeating: 0, count: padded)
    var lost = 0.0
    for (index, value) in vector.enumerated() {
      let exact = Double(value) / length
      let rounded = min(steps, max(-steps, (exact / Double(scale)).rounded()))
      components[index] = Int16(rounded)
      lost += (exact - rounded * Double(scale)) * (exact - rounded * Double(scale))
    }
    self.components = components
    self.scale = scale
    error = Float(lost.squareRoot() * (1 + 1e-6) + 1e-9)
  }

  func lend<R>(_ body: (bat_query) -> R) -> R {
    components.withUnsafeBufferPointer { body(bat_query(components: $0.baseAddress, scale: scale, error: error)) }
  }
}
