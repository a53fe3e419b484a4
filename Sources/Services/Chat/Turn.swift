import Kernel

/// What belongs together: something said by the user, and what was answered, tools and their results included. Forgotten
/// as a whole.
typealias Turn = [ChatMessage]
