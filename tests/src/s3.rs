//! A private S3 server, with its content in memory.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::processes::{Guarded, read};
use crate::{Scratch, installed, until};

/// A server with one bucket that ends with the test, on a port that the system chose.
pub struct S3 {
    /// The process.
    pub process: Guarded,
    /// Its address.
    pub address: SocketAddr,
}

/// The name of the bucket.
pub const BUCKET: &str = "lab";

impl S3 {
    /// Starts a server with an empty bucket; its log is `folder/s3.log`.
    pub fn start(folder: &Scratch) -> Self {
        let log = folder.file("s3.log", "");
        let file = || Stdio::from(std::fs::OpenOptions::new().append(true).open(&log).expect("a writable folder"));
        let child = Command::new(installed::programs("s3-server").join("moto_server"))
            .args(["-H", "127.0.0.1", "-p", "0"])
            .stdin(Stdio::null())
            .stdout(file())
            .stderr(file())
            .spawn();
        let process = Guarded(child.expect("the S3 server starts"));
        let address = until("the S3 server listens", || {
            let said = read(&log);
            let (_, rest) = said.split_once("Running on http://")?;
            rest.split_whitespace().next()?.parse().ok()
        });
        let server = Self { process, address };
        let (status, body) = server.ask("PUT", &format!("/{BUCKET}"));
        assert_eq!(status, 200, "{body}");
        server
    }

    /// Returns the environment variables that lead `coordinator serve` to the server at `address`, which may be a
    /// relay.
    pub fn variables(address: SocketAddr) -> Vec<(String, String)> {
        let endpoint = format!("http://{address}");
        [
            ("AWS_ENDPOINT_URL", endpoint.as_str()),
            ("AWS_REGION", "us-east-1"),
            ("AWS_ACCESS_KEY_ID", "lab"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
    }

    /// Returns the variables, with the credentials in a file.
    pub fn variables_with(address: SocketAddr, credentials: &Path) -> Vec<(String, String)> {
        let mut variables = Self::variables(address);
        variables.retain(|(name, _)| !name.contains("KEY"));
        let path = credentials.to_str().expect("a text path").to_owned();
        variables.push(("AWS_SHARED_CREDENTIALS_FILE".to_owned(), path));
        variables
    }

    /// Returns the number of multipart uploads that were started but neither completed nor aborted.
    pub fn uploads(&self) -> usize {
        let (status, body) = self.ask("GET", &format!("/{BUCKET}?uploads"));
        assert_eq!(status, 200, "{body}");
        body.matches("<UploadId>").count()
    }

    /// Returns the keys in the bucket.
    pub fn keys(&self) -> Vec<String> {
        let (status, body) = self.ask("GET", &format!("/{BUCKET}?list-type=2"));
        assert_eq!(status, 200, "{body}");
        let keys = body.split("<Key>").skip(1).filter_map(|rest| rest.split_once("</Key>"));
        keys.map(|(key, _)| key.to_owned()).collect()
    }

    /// Returns status and body of a request without credentials, which this server accepts.
    fn ask(&self, method: &str, path: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.address).expect("it listens");
        let head = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\nContent-Length: 0\r\n", self.address);
        write!(stream, "{head}Connection: close\r\n\r\n").expect("an open connection");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("text");
        let (head, body) = answer.split_once("\r\n\r\n").expect("an answer");
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        (status, body.to_owned())
    }
}
