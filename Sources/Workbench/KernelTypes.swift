import Kernel

// What an author's tools need of the kernel's own code, so that they need not know the kernel.

/// Messages that a persona has worked on, as a file.
public typealias Recording = Kernel.Recording
/// What a persona wanted of others.
public typealias OutboundCall = Kernel.OutboundCall
/// Plays recordings in a process of its own.
public typealias ReplayHost = Kernel.ReplayHost
/// What is wrong with a library's file.
public typealias LibraryError = Kernel.LibraryError
/// What a library says of the persona in it.
public typealias About = Kernel.About
/// Tells which files of folders have changed.
public typealias LibraryWatcher = Kernel.LibraryWatcher
/// Where a process has crashed, as its log tells it.
public typealias CrashReport = Kernel.CrashReport
/// The hash of files.
public typealias SHA256 = Kernel.SHA256
