import Kernel
import Protocol

/// How far one question has come on its route, and why the providers before did not answer it. A value.
struct RouteProgress: Sendable {
  private let legs: [Route.Leg]
  private var place = 0
  private var failures: [Failure] = []

  /// A route has at least one leg.
  init(_ route: Route) { legs = route.legs }

  /// Where the question is.
  var leg: Route.Leg { legs[place] }
  /// Where it was to be answered.
  var first: Route.Leg { legs[0] }

  /// Goes on to the next provider.
  ///
  /// - Returns: nil if there is none, or if the question must not go elsewhere any more.
  mutating func goOn(after failure: Failure, mayLeave: Bool) -> Route.Leg? {
    failures.append(failure)
    guard mayLeave, place + 1 < legs.count else { return nil }
    place += 1
    return leg
  }

  /// The last failure with what the providers before said.
  func whole(_ last: Failure) -> Failure {
    guard failures.count > 1, let first = failures.first else { return last }
    let others = failures.dropFirst().map(\.message) + (failures.last == last ? [] : [last.message])
    return Failure(first.code, ([first.message] + others.map { "and instead of it: " + $0 }).joined(separator: "; "))
  }
}
