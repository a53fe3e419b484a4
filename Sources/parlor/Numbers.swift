/// A number with so many digits after the point.
func fixed(_ value: Double, _ digits: Int) -> String {
  var scale = 1.0
  for _ in 0..<digits { scale *= 10 }
  let scaled = (abs(value) * scale).rounded()
  guard scaled < 1e15 else { return "\(value)" }
  let whole = Int(scaled / scale)
  let sign = value < 0 && scaled > 0 ? "-" : ""
  if digits == 0 { return "\(sign)\(whole)" }
  let part = String(Int(scaled) - whole * Int(scale))
  return "\(sign)\(whole)." + String(repeating: "0", count: digits - part.count) + part
}

/// Microseconds as milliseconds: two digits below 0.1, one up to 10, none above.
func milliseconds(_ microseconds: Double) -> String {
  if microseconds < 100 { return fixed(microseconds / 1000, 2) }
  return fixed(microseconds / 1000, microseconds < 10_000 ? 1 : 0)
}
