//! persona.h for Rust, without crates: the C types, and a thin safe layer over what most personas need.
//!
//! A persona implements `Persona` and names itself with `export!`. Its functions are called on one thread, one at a time.
//! A panic does not cross into C: it ends the gram (or the step) with an error that holds its text.

#![allow(dead_code)]

use std::ffi::c_void;
use std::os::raw::c_char;
use std::panic::{catch_unwind, AssertUnwindSafe};

// ── The types of persona.h ──

pub type Status = i32;
pub const OK: Status = 0;
pub const LATER: Status = 1;
pub const FAILED: Status = -1;
pub const INVALID: Status = -2;
pub const UNKNOWN_METHOD: Status = -10;
pub const STATE: Status = -11;
pub const PUBLISHED: u32 = 4;

#[repr(C)]
#[derive(Clone, Copy)]
pub struct Text {
    bytes: *const u8,
    count: usize,
}

impl Text {
    pub fn of(text: &str) -> Text {
        Text { bytes: text.as_ptr(), count: text.len() }
    }
    unsafe fn bytes<'a>(self) -> &'a [u8] {
        if self.bytes.is_null() { &[] } else { std::slice::from_raw_parts(self.bytes, self.count) }
    }
    /// The kernel gives UTF-8.
    unsafe fn str<'a>(self) -> &'a str {
        std::str::from_utf8(self.bytes()).unwrap_or("")
    }
}

#[repr(C)]
pub struct Sink {
    context: *mut c_void,
    write: unsafe extern "C" fn(*mut c_void, *const c_void, usize) -> Status,
}

#[repr(C)]
pub struct RawGram {
    token: u64,
    source: Text,
    method: Text,
    payload: Text,
    topic: Text,
    trace: Text,
    deadline_ms: u64,
    flags: u32,
    hops: u32,
}

type Done = unsafe extern "C" fn(*mut c_void, u64, Status, Text);
type Part = Option<unsafe extern "C" fn(*mut c_void, u64, Text)>;
type Job = unsafe extern "C" fn(*mut c_void);

#[repr(C)]
pub struct Host {
    size: u32,
    abi_major: u16,
    abi_minor: u16,
    kernel: *mut c_void,
    service: unsafe extern "C" fn(*const Host, *const c_char) -> *const c_void,
    explain: unsafe extern "C" fn(*const Host, Text),
    post: unsafe extern "C" fn(*const Host, Job, *mut c_void) -> Status,
    cancel: unsafe extern "C" fn(*const Host, u64),
}

#[repr(C)]
struct Bus {
    size: u32,
    reply: unsafe extern "C" fn(*const Host, u64, Text) -> Status,
    fail: unsafe extern "C" fn(*const Host, u64, Status, Text) -> Status,
    stream: unsafe extern "C" fn(*const Host, u64, Text) -> Status,
    send: unsafe extern "C" fn(*const Host, u64, Text, Text, Text) -> Status,
    ask: unsafe extern "C" fn(*const Host, u64, Text, Text, Text, u64, Part, Done, *mut c_void, *mut u64) -> Status,
    subscribe: unsafe extern "C" fn(*const Host, Text) -> Status,
    unsubscribe: unsafe extern "C" fn(*const Host, Text) -> Status,
}

#[repr(C)]
struct Llm {
    size: u32,
    chat: unsafe extern "C" fn(*const Host, u64, Text, u64, Part, Done, *mut c_void, *mut u64) -> Status,
    forget: unsafe extern "C" fn(*const Host, Text) -> Status,
}

#[repr(C)]
pub struct Vtable {
    pub size: u32,
    pub destroy: unsafe extern "C" fn(*mut c_void),
    pub receive: unsafe extern "C" fn(*mut c_void, *const RawGram) -> Status,
    pub start: Option<unsafe extern "C" fn(*mut c_void) -> Status>,
    pub stop: Option<unsafe extern "C" fn(*mut c_void)>,
    pub config_changed: Option<unsafe extern "C" fn(*mut c_void, Text) -> Status>,
    pub save: Option<unsafe extern "C" fn(*mut c_void, *const Sink) -> Status>,
    pub load: Option<unsafe extern "C" fn(*mut c_void, u32, Text) -> Status>,
    pub health: Option<unsafe extern "C" fn(*mut c_void) -> Status>,
    pub extension: Option<unsafe extern "C" fn(*mut c_void, *const c_char) -> *const c_void>,
}

#[repr(C)]
pub struct Entry {
    pub magic: u32,
    pub size: u32,
    pub abi_major: u16,
    pub abi_minor: u16,
    pub reserved: u32,
    pub about: *const u8,
    pub vtable: *const Vtable,
    pub create: unsafe extern "C" fn(*const Host, Text, *mut *mut c_void) -> Status,
}
// What it points to is constant.
unsafe impl Sync for Entry {}

// ── The safe layer ──

pub struct Error {
    pub status: Status,
    pub why: String,
}

impl Error {
    pub fn new(status: Status, why: impl Into<String>) -> Error {
        Error { status, why: why.into() }
    }
}

/// One message. Borrowed: only the token may be kept.
pub struct Gram<'a> {
    pub token: u64,
    pub source: &'a str,
    pub method: &'a str,
    /// JSON.
    pub payload: &'a str,
    pub published: bool,
}

/// What `receive` makes of a gram.
pub enum Answer {
    /// JSON.
    Reply(String),
    /// `reply` or `fail` will come, with the token.
    Later,
    Nothing,
}

/// The way to the kernel: valid for ever, and on any thread.
#[derive(Clone, Copy)]
pub struct Kernel {
    host: *const Host,
    bus: *const Bus,
    llm: *const Llm,
}

impl Kernel {
    pub fn reply(self, token: u64, json: &str) {
        // That the asker has gone meanwhile is nobody's fault.
        unsafe { ((*self.bus).reply)(self.host, token, Text::of(json)) };
    }
    pub fn fail(self, token: u64, error: &Error) {
        unsafe { ((*self.bus).fail)(self.host, token, error.status, Text::of(&error.why)) };
    }
    /// A piece of text ahead of the reply.
    pub fn stream(self, token: u64, piece: &str) {
        unsafe { ((*self.bus).stream)(self.host, token, Text::of(piece)) };
    }
    pub fn send(self, cause: u64, target: &str, method: &str, json: &str) {
        unsafe { ((*self.bus).send)(self.host, cause, Text::of(target), Text::of(method), Text::of(json)) };
    }
    /// Asks somebody; `then` gets the reply's JSON, or what went wrong.
    pub fn ask(self, cause: u64, target: &str, method: &str, json: &str, then: impl FnOnce(Kernel, Result<&str, Error>) + 'static) -> Result<(), Error> {
        self.request(then, |context, request| unsafe {
            ((*self.bus).ask)(self.host, cause, Text::of(target), Text::of(method), Text::of(json), 0, None, done, context, request)
        })
    }
    /// Asks the model with a question as persona.h describes it; pieces go straight to the asker of the gram.
    pub fn chat(self, cause: u64, question: &str, then: impl FnOnce(Kernel, Result<&str, Error>) + 'static) -> Result<(), Error> {
        if self.llm.is_null() {
            return Err(Error::new(FAILED, "this kernel has no llm/1"));
        }
        self.request(then, |context, request| unsafe {
            ((*self.llm).chat)(self.host, cause, Text::of(question), cause, None, done, context, request)
        })
    }

    fn request(
        self,
        then: impl FnOnce(Kernel, Result<&str, Error>) + 'static,
        start: impl FnOnce(*mut c_void, *mut u64) -> Status,
    ) -> Result<(), Error> {
        let context = Box::into_raw(Box::new(Pending { kernel: self, then: Box::new(then) }));
        let mut request = 0;
        let status = start(context as *mut c_void, &mut request);
        if status < 0 {
            // It was not begun, so the box is still ours.
            drop(unsafe { Box::from_raw(context) });
            return Err(Error::new(status, format!("the kernel does not take the request (status {status})")));
        }
        Ok(())
    }

    unsafe fn explain(self, why: &str) {
        ((*self.host).explain)(self.host, Text::of(why))
    }
}

struct Pending {
    kernel: Kernel,
    then: Box<dyn FnOnce(Kernel, Result<&str, Error>)>,
}

/// The end of a request: called once, on the lane.
unsafe extern "C" fn done(context: *mut c_void, _request: u64, status: Status, result: Text) {
    let pending = Box::from_raw(context as *mut Pending);
    let result = if status < 0 { Err(Error::new(status, result.str())) } else { Ok(result.str()) };
    let _ = catch_unwind(AssertUnwindSafe(move || (pending.then)(pending.kernel, result)));
}

pub trait Persona: Sized {
    fn create(kernel: Kernel, config: &str) -> Result<Self, Error>;
    fn receive(&mut self, gram: &Gram) -> Result<Answer, Error>;
    /// What the next generation must know.
    fn save(&self) -> Vec<u8> {
        Vec::new()
    }
    fn load(&mut self, _schema: u32, _state: &[u8]) -> Result<(), Error> {
        Ok(())
    }
}

pub struct Instance<P> {
    kernel: Kernel,
    persona: P,
}

/// Runs a step; an error or a panic becomes a status with its text.
unsafe fn guarded(kernel: Kernel, step: impl FnOnce() -> Result<Status, Error>) -> Status {
    let error = match catch_unwind(AssertUnwindSafe(step)) {
        Ok(Ok(status)) => return status,
        Ok(Err(error)) => error,
        Err(panic) => {
            let what = panic.downcast_ref::<&str>().map(|s| s.to_string()).or_else(|| panic.downcast_ref::<String>().cloned());
            Error::new(FAILED, format!("it panicked: {}", what.unwrap_or_default()))
        }
    };
    kernel.explain(&error.why);
    error.status
}

pub unsafe extern "C" fn create<P: Persona>(host: *const Host, config: Text, made: *mut *mut c_void) -> Status {
    let service = |name: &[u8]| ((*host).service)(host, name.as_ptr() as *const c_char);
    let kernel = Kernel { host, bus: service(b"bus/1\0") as *const Bus, llm: service(b"llm/1\0") as *const Llm };
    guarded(kernel, || {
        let persona = P::create(kernel, config.str())?;
        *made = Box::into_raw(Box::new(Instance { kernel, persona })) as *mut c_void;
        Ok(OK)
    })
}

pub unsafe extern "C" fn destroy<P: Persona>(this: *mut c_void) {
    let _ = catch_unwind(AssertUnwindSafe(|| drop(Box::from_raw(this as *mut Instance<P>))));
}

pub unsafe extern "C" fn receive<P: Persona>(this: *mut c_void, gram: *const RawGram) -> Status {
    let this = &mut *(this as *mut Instance<P>);
    let (kernel, raw) = (this.kernel, &*gram);
    guarded(kernel, || {
        let gram = Gram {
            token: raw.token,
            source: raw.source.str(),
            method: raw.method.str(),
            payload: raw.payload.str(),
            published: raw.flags & PUBLISHED != 0,
        };
        Ok(match this.persona.receive(&gram)? {
            Answer::Reply(json) => {
                kernel.reply(raw.token, &json);
                OK
            }
            Answer::Later => LATER,
            Answer::Nothing => OK,
        })
    })
}

pub unsafe extern "C" fn save<P: Persona>(this: *mut c_void, into: *const Sink) -> Status {
    let this = &mut *(this as *mut Instance<P>);
    guarded(this.kernel, || {
        let state = this.persona.save();
        Ok(((*into).write)((*into).context, state.as_ptr() as *const c_void, state.len()))
    })
}

pub unsafe extern "C" fn load<P: Persona>(this: *mut c_void, schema: u32, state: Text) -> Status {
    let this = &mut *(this as *mut Instance<P>);
    guarded(this.kernel, || this.persona.load(schema, state.bytes()).map(|_| OK))
}

/// Exports a persona: its type, and its about text (see persona.h), which the kernel reads from the file as it stands.
#[macro_export]
macro_rules! export {
    ($persona:ty, $about:literal) => {
        #[used]
        static ABOUT: &[u8] = concat!($about, "\0").as_bytes();
        static VTABLE: persona::Vtable = persona::Vtable {
            size: std::mem::size_of::<persona::Vtable>() as u32,
            destroy: persona::destroy::<$persona>,
            receive: persona::receive::<$persona>,
            start: None,
            stop: None,
            config_changed: None,
            save: Some(persona::save::<$persona>),
            load: Some(persona::load::<$persona>),
            health: None,
            extension: None,
        };
        static ENTRY: persona::Entry = persona::Entry {
            magic: 0x50544142,
            size: std::mem::size_of::<persona::Entry>() as u32,
            abi_major: 1,
            abi_minor: 0,
            reserved: 0,
            about: ABOUT.as_ptr(),
            vtable: &VTABLE,
            create: persona::create::<$persona>,
        };
        #[no_mangle]
        pub extern "C" fn persona_entry_v1() -> *const persona::Entry {
            &ENTRY
        }
    };
}

// ── As much JSON as that needs ──

/// The text as a JSON string, quotes included.
pub fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c if (c as u32) < 0x20 => out.push_str(&format!("\\u{:04x}", c as u32)),
            c => out.push(c),
        }
    }
    out + "\""
}

/// The value of a member of a JSON object, as it stands there. The kernel has checked that it is JSON.
pub fn member<'a>(object: &'a str, key: &str) -> Option<&'a str> {
    let bytes = object.as_bytes();
    let (mut depth, mut at, mut expects_key) = (0, 0, false);
    while at < bytes.len() {
        match bytes[at] {
            b'"' => {
                let end = string_end(bytes, at);
                if depth == 1 && expects_key {
                    let found = &object[at + 1..end - 1] == key;
                    let start = end + object[end..].find(':')? + 1;
                    if found {
                        return Some(object[start..value_end(bytes, start)].trim());
                    }
                    expects_key = false;
                    at = start;
                    continue;
                }
                at = end;
                continue;
            }
            b'{' | b'[' => {
                depth += 1;
                expects_key = bytes[at] == b'{' && depth == 1;
            }
            b'}' | b']' => depth -= 1,
            b',' if depth == 1 => expects_key = true,
            _ => {}
        }
        at += 1;
    }
    None
}

fn string_end(bytes: &[u8], open: usize) -> usize {
    let mut at = open + 1;
    while at < bytes.len() && bytes[at] != b'"' {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    at + 1
}

fn value_end(bytes: &[u8], start: usize) -> usize {
    let (mut depth, mut at) = (0, start);
    while at < bytes.len() {
        match bytes[at] {
            b'"' => {
                at = string_end(bytes, at);
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth == 0 => return at,
            b'}' | b']' => depth -= 1,
            b',' if depth == 0 => return at,
            _ => {}
        }
        at += 1;
    }
    at
}
