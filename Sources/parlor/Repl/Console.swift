import Client
import Glibc
import System

/// Where the conversation takes place: takes what is typed, and prints without harming it.
///
/// On a terminal it edits the line itself; elsewhere lines are lines, and only answers go to standard output.
final class Console {
  enum Event: Equatable {
    case line(String)
    /// Ctrl-C where there is nothing to delete.
    case interrupt
    /// Ctrl-D, or the end of the input.
    case end
    /// A paste of so many bytes was left out.
    case tooMuchPasted(Int)
  }

  let isInteractive: Bool
  let style: Style
  var editor = LineEditor()
  private var keys = KeyReader()
  private var lines = LineReader()
  private var inputEnded = false
  private var raw: RawMode?
  /// What stands before the line; `nil` while no line is wanted.
  private var prompt: String?
  /// Whether prompt and line are on the screen now.
  private var isDrawn = false
  /// A dim line that says what we wait for.
  private var status: String?
  /// Lines are read though no line is wanted: so the end of the input is noticed while the kernel is away.
  var readsAhead = false
  private static let mostReadAhead = 1 << 16

  init() throws(CLIError) {
    isInteractive = Terminal.has(0) && Terminal.has(1) && !Terminal.isDumb
    style = Style(for: isInteractive ? .answer : .diagnostics)
    if isInteractive { try enterRawMode() }
  }

  private func enterRawMode() throws(CLIError) {
    raw = try RawMode(0)
    // From now on pasted text comes between marks, so that its newlines do not send it in pieces.
    try Output.answer.control("\u{1B}[?2004h")
  }

  private func leaveRawMode() throws(CLIError) {
    guard raw != nil else { return }
    raw = nil
    try Output.answer.control("\u{1B}[?2004l")
  }

  /// Gives the terminal back.
  func close() throws(CLIError) {
    try hidePrompt()
    try leaveRawMode()
  }

  // MARK: What is typed

  /// Whether standard input should be read now. Lines that are not typed wait for the answer before them.
  var wantsInput: Bool {
    !inputEnded && (isInteractive || prompt != nil || readsAhead && lines.pending < Self.mostReadAhead)
  }

  /// Puts a line where it can be sent again: on the line if nothing stands or is typed there, else among those that Up brings back.
  ///
  /// - Returns: whether it stands on the line.
  @discardableResult
  func offer(_ line: String) -> Bool {
    editor.remember(line)
    guard editor.isEmpty, keys.isEmpty else { return false }
    editor.set(line)
    return true
  }

  /// Takes the bytes that wait on standard input.
  func read() throws(CLIError) {
    do {
      guard let bytes = try readSome(0) else { return }
      if bytes.isEmpty { inputEnded = true }
      if isInteractive { keys.append(bytes) } else { lines.append(bytes) }
    } catch {
      // A terminal whose window was closed answers EIO: that is its end.
      inputEnded = true
    }
  }

  func nextEvent() throws(CLIError) -> Event? {
    if isInteractive {
      if inputEnded { return .end }
      if prompt != nil { return try nextEdit() }
      switch keys.takeControl() {
      case .interrupt?: return .interrupt
      case .suspend?: try suspend()
      case nil: break
      }
      return nil
    }
    guard prompt != nil else { return readsAhead && inputEnded && lines.pending == 0 ? .end : nil }
    guard let line = lines.next() ?? (inputEnded ? lines.rest() : nil) else { return inputEnded ? .end : nil }
    prompt = nil
    return .line(String(decoding: line, as: UTF8.self))
  }

  private func nextEdit() throws(CLIError) -> Event? {
    var edited = false
    while let key = keys.next() {
      let before = editor
      switch editor.apply(key) {
      case .edited: edited = true
      case .submit(let line):
        // Drawn once more as it was sent, the cursor behind it: it stays on the screen.
        let after = editor
        editor = before
        _ = editor.apply(.end)
        try redraw()
        editor = after
        isDrawn = false
        prompt = nil
        try Output.answer.control("\n")
        return .line(line)
      case .interrupt: return .interrupt
      case .endOfInput: return .end
      case .suspend: try suspend()
      case .refused(let bytes):
        if edited { try redraw() }
        return .tooMuchPasted(bytes)
      case .redraw:
        try Output.answer.control("\u{1B}[H\u{1B}[2J")
        isDrawn = false
        edited = true
      }
    }
    if edited { try redraw() }
    return nil
  }

  /// Ctrl-Z: stops us, and whoever started us for the terminal, until the shell goes on with us. The terminal is the shell's meanwhile.
  func suspend() throws(CLIError) {
    guard isInteractive else { return Signals.stop() }
    let kept = status
    try erase()
    try leaveRawMode()
    Signals.stop()
    try enterRawMode()
    if let kept { try wait(for: kept) }
    try redraw()
  }

  /// We go on after we were stopped by somebody who did not ask: the shell has set the terminal up for itself.
  func resumed() throws(CLIError) {
    guard raw != nil else { return }
    raw = nil
    try enterRawMode()
    isDrawn = false
    try redraw()
  }

  // MARK: What is printed

  /// Asks for a line.
  func showPrompt(_ text: String) throws(CLIError) {
    prompt = text
    try redraw()
  }

  func hidePrompt() throws(CLIError) {
    try erase()
    prompt = nil
  }

  /// A text, on standard output.
  func write(_ text: String) throws(CLIError) {
    try erase()
    try Output.answer.write(isInteractive ? WordWrap.rows(text, columns: Terminal.size(1).columns) : text)
  }

  /// A piece of an answer as its printer has made it, on standard output.
  func stream(_ text: String) throws(CLIError) {
    if text.isEmpty { return }
    try erase()
    try Output.answer.control(text)
  }

  /// A line about something else than the answer; it stands above the line that is being written.
  func note(_ text: String) throws(CLIError) {
    guard isInteractive else { return try Output.diagnostics.line("parlor: \(text)") }
    let kept = status
    try erase()
    try Output.answer.line(WordWrap.rows(text, columns: Terminal.size(1).columns))
    if let kept { try wait(for: kept) }
    try redraw()
  }

  /// Says what we wait for, until something is printed.
  func wait(for what: String) throws(CLIError) {
    guard isInteractive else { return }
    try erase()
    status = what
    try Output.answer.write(style.dim(what.oneLine(Terminal.size(1).columns - 1)))
  }

  /// The window has another size.
  func resized() throws(CLIError) { try redraw() }

  private func redraw() throws(CLIError) {
    guard isInteractive, let prompt else { return }
    var text = erasing
    let view = view
    var rows = view.rows
    if rows[0].hasPrefix(prompt) { rows[0] = style.name(prompt) + rows[0].dropFirst(prompt.count) }
    text += Paint.rendered(rows.joined(separator: "\n"))
    let up = rows.count - 1 - view.cursorRow
    if up > 0 { text += "\u{1B}[\(up)A" }
    text += "\r"
    if view.cursorColumn > 0 { text += "\u{1B}[\(view.cursorColumn)C" }
    drawnRow = view.cursorRow
    isDrawn = true
    try Output.answer.control(text)
  }

  /// In which row of what is drawn the cursor stands.
  private var drawnRow = 0

  private func erase() throws(CLIError) {
    guard isDrawn || status != nil else { return }
    try Output.answer.control(erasing)
    isDrawn = false
    status = nil
  }

  private var erasing: String {
    if isDrawn { return (drawnRow > 0 ? "\u{1B}[\(drawnRow)A" : "") + "\r\u{1B}[J" }
    return status != nil ? "\r\u{1B}[K" : ""
  }

  private var view: EditorView {
    EditorView(prompt: prompt ?? "", text: editor.text, cursor: editor.cursor, size: Terminal.size(1))
  }
}
