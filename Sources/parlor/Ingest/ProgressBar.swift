/// Shows the progress on the last line of a terminal; nothing elsewhere.
final class ProgressBar {
  private let isShown: Bool
  private var last = ContinuousClock.now - .seconds(1)
  private var passages = 0
  private var line = (done: 0, all: 0, path: "")
  private var isThere = false

  init() { isShown = Terminal.has(Output.diagnostics.descriptor) && !Terminal.isDumb }

  func show(_ done: Int, of all: Int, _ path: String) {
    line = (done, all, path)
    draw()
  }

  func add(_ count: Int) {
    passages += count
    draw()
  }

  private func draw() {
    let now = ContinuousClock.now
    guard isShown, line.all > 0, now - last > .milliseconds(50) else { return }
    last = now
    isThere = true
    let width = Terminal.size(Output.diagnostics.descriptor).columns - 1
    let filled = 20 * line.done / line.all
    let bar = String(repeating: "█", count: filled) + String(repeating: "░", count: 20 - filled)
    let text = "\(bar) \(line.done)/\(line.all) files, \(passages) passages  \(line.path.split(separator: "/").last.map(String.init) ?? "")"
    try? Output.diagnostics.write("\r\u{1B}[K" + text.oneLine(width))
  }

  /// Clears the line for other output.
  func hide() {
    if isThere { try? Output.diagnostics.write("\r\u{1B}[K") }
    isThere = false
    last = .now - .seconds(1)
  }
}
