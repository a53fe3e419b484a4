//! HAROLD: dry humour, in Rust.

mod persona;
use persona::{member, quoted, Answer, Error, Gram, Kernel, Persona};

export!(
    Harold,
    "bat-persona 1\nname = HAROLD\nversion = 1.0\nsummary = Dry humour, in Rust\nstate = 1\nneeds = bus/1\nwants = llm/1\n\
     method.remark = a dry remark, word by word, without a language model\n\
     gives.remark = {\"type\":\"object\",\"properties\":{\"content\":{\"type\":\"string\"}},\"required\":[\"content\"]}\n\
     method.count = how many remarks it has made\n\
     method.panic = shows what becomes of a panic\n"
);

struct Harold {
    kernel: Kernel,
    remarks: u64,
}

impl Persona for Harold {
    fn create(kernel: Kernel, _config: &str) -> Result<Self, Error> {
        Ok(Harold { kernel, remarks: 0 })
    }

    fn receive(&mut self, gram: &Gram) -> Result<Answer, Error> {
        match gram.method {
            _ if gram.published => Ok(Answer::Nothing),
            "remark" => {
                self.remarks += 1;
                let words = ["It ", "compiles. ", "How ", "unusual."];
                for word in words {
                    self.kernel.stream(gram.token, word);
                }
                Ok(Answer::Reply(format!("{{\"content\":{}}}", quoted(&words.concat()))))
            }
            "count" => Ok(Answer::Reply(format!("{{\"count\":{}}}", self.remarks))),
            "panic" => panic!("as he was asked to"),
            _ => {
                // What was said, as it stands in the JSON: a string is a string in the question, too.
                let said = if gram.payload.starts_with('"') { Some(gram.payload) } else { member(gram.payload, "content") };
                let unknown = || Error::new(persona::UNKNOWN_METHOD, "HAROLD knows remark and count, and takes any other with a \"content\"");
                let said = said.ok_or_else(unknown)?;
                let question = format!("{{\"text\":{},\"thread\":{}}}", said, quoted(gram.source));
                let token = gram.token;
                self.kernel.chat(token, &question, move |kernel, result| match result {
                    Ok(answer) => kernel.reply(token, &format!("{{\"content\":{}}}", member(answer, "text").unwrap_or("null"))),
                    Err(error) => kernel.fail(token, &error),
                })?;
                Ok(Answer::Later)
            }
        }
    }

    fn save(&self) -> Vec<u8> {
        self.remarks.to_string().into_bytes()
    }

    fn load(&mut self, _schema: u32, state: &[u8]) -> Result<(), Error> {
        let text = std::str::from_utf8(state).ok().and_then(|text| text.parse().ok());
        self.remarks = text.ok_or_else(|| Error::new(persona::STATE, "the state is no number"))?;
        Ok(())
    }
}
