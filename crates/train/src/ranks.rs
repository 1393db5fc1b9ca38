//! Several processes that train one model: gradients are averaged over TCP.
//!
//! Ranks are launched as `torchrun` launches them: `RANK`, `WORLD_SIZE`, `MASTER_ADDR`, `MASTER_PORT`. Rank 0
//! gathers, sums in the order of ranks, and sends the sum back, so that every rank moves by the same bits.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use crate::error::{Result, TrainError};
use crate::gradients::Gradients;

/// First bytes of a greeting.
const MAGIC: &[u8; 8] = b"rewordtr";

/// How long a rank waits for the others at the start and at every step.
const PATIENCE: Duration = Duration::from_mins(10);

/// A process's place among the others.
#[derive(Debug)]
pub struct Ranks {
    rank: usize,
    world: usize,
    /// On rank 0 the others in order, on the others rank 0.
    peers: Vec<TcpStream>,
}

/// Where the ranks meet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meeting {
    /// This process, from 0.
    pub rank: usize,
    /// How many there are.
    pub world: usize,
    /// Host and port of rank 0.
    pub address: String,
}

impl Meeting {
    /// From the launcher's variables, read by `variable`; none when there is one rank.
    ///
    /// # Errors
    /// When a variable is missing or no number.
    pub fn of_variables(variable: impl Fn(&str) -> Option<String>) -> Result<Option<Self>> {
        let bad = |name: &str, found: &str| TrainError::Ranks {
            rank: 0,
            reason: format!("{name} is '{found}', but must be a number below WORLD_SIZE"),
        };
        let number = |name: &str| -> Result<Option<usize>> {
            let Some(text) = variable(name) else {
                return Ok(None);
            };
            text.parse().map(Some).map_err(|_| bad(name, &text))
        };
        let world = number("WORLD_SIZE")?.unwrap_or(1);
        if world <= 1 {
            return Ok(None);
        }
        let rank = number("RANK")?.unwrap_or(usize::MAX);
        if rank >= world {
            return Err(bad("RANK", &variable("RANK").unwrap_or_default()));
        }
        let host = variable("MASTER_ADDR").unwrap_or_else(|| "127.0.0.1".to_owned());
        let port = variable("MASTER_PORT").unwrap_or_else(|| "29500".to_owned());
        Ok(Some(Self {
            rank,
            world,
            address: format!("{host}:{port}"),
        }))
    }
}

impl Ranks {
    /// One rank alone.
    pub fn alone() -> Self {
        Self {
            rank: 0,
            world: 1,
            peers: Vec::new(),
        }
    }

    /// Meets the others. `key` must be the same on all: the recipe's.
    ///
    /// # Errors
    /// When the others do not come, or come with another recipe.
    pub fn meet(meeting: &Meeting, key: &str) -> Result<Self> {
        let Meeting {
            rank,
            world,
            address,
        } = meeting;
        let (rank, world) = (*rank, *world);
        let fail = |reason: String| TrainError::Ranks { rank, reason };
        let mut greeting = MAGIC.to_vec();
        greeting.extend((rank as u64).to_le_bytes());
        greeting.extend((world as u64).to_le_bytes());
        greeting.extend((key.len() as u64).to_le_bytes());
        greeting.extend(key.as_bytes());
        if rank > 0 {
            let mut stream = connect(address).map_err(|e| fail(format!("{address}: {e}")))?;
            patient(&stream).map_err(|e| fail(e.to_string()))?;
            stream
                .write_all(&greeting)
                .map_err(|e| fail(format!("{address}: {e}")))?;
            let mut answer = [0_u8; 1];
            stream
                .read_exact(&mut answer)
                .map_err(|_| fail("rank 0 has another recipe or number of ranks".to_owned()))?;
            return Ok(Self {
                rank,
                world,
                peers: vec![stream],
            });
        }
        let listener = TcpListener::bind(address).map_err(|e| fail(format!("{address}: {e}")))?;
        let mut peers: Vec<Option<TcpStream>> = (1..world).map(|_| None).collect();
        while peers.iter().any(Option::is_none) {
            let (mut stream, from) = listener.accept().map_err(|e| fail(e.to_string()))?;
            patient(&stream).map_err(|e| fail(e.to_string()))?;
            // Whoever does not greet rightly is no rank of this run, and is sent away.
            let Some(other) = greeted(&mut stream, &greeting) else {
                drop(stream);
                continue;
            };
            let slot = other.checked_sub(1).and_then(|n| peers.get_mut(n));
            match slot {
                Some(slot @ None) => {
                    stream.write_all(&[1]).map_err(|e| fail(e.to_string()))?;
                    *slot = Some(stream);
                }
                _ => return Err(fail(format!("{from} says that it is rank {other} too"))),
            }
        }
        Ok(Self {
            rank,
            world,
            peers: peers.into_iter().flatten().collect(),
        })
    }

    /// This process.
    pub const fn rank(&self) -> usize {
        self.rank
    }

    /// How many there are.
    pub const fn world(&self) -> usize {
        self.world
    }

    /// Averages gradients over all ranks; every rank has the same afterwards.
    ///
    /// # Errors
    /// When another rank is gone, or has other gradients.
    pub fn average(&mut self, gradients: &mut Gradients) -> Result<()> {
        if self.world == 1 {
            return Ok(());
        }
        let mut flat: Vec<f32> = gradients.0.values().flatten().copied().collect();
        self.average_flat(&mut flat)?;
        let mut rest = flat.as_slice();
        for values in gradients.0.values_mut() {
            if let Some((own, other)) = rest.split_at_checked(values.len()) {
                values.copy_from_slice(own);
                rest = other;
            }
        }
        Ok(())
    }

    /// Averages numbers over all ranks.
    ///
    /// # Errors
    /// When another rank is gone, or has another count.
    pub fn average_flat(&mut self, values: &mut [f32]) -> Result<()> {
        let (rank, world) = (self.rank, self.world);
        if world == 1 {
            return Ok(());
        }
        let gone = |error: std::io::Error| TrainError::Ranks {
            rank,
            reason: format!("another rank is gone: {error}"),
        };
        let count = values.len();
        if rank == 0 {
            for peer in &mut self.peers {
                let other = receive(peer, count).map_err(gone)?;
                for (sum, value) in values.iter_mut().zip(other) {
                    *sum += value;
                }
            }
            for value in values.iter_mut() {
                *value /= world as f32;
            }
            for peer in &mut self.peers {
                send(peer, values).map_err(gone)?;
            }
        } else if let Some(peer) = self.peers.first_mut() {
            send(peer, values).map_err(gone)?;
            values.copy_from_slice(&receive(peer, count).map_err(gone)?);
        }
        Ok(())
    }
}

/// Rank 0 may come up later than the others.
fn connect(address: &str) -> std::io::Result<TcpStream> {
    let mut tries = 0;
    loop {
        match TcpStream::connect(address) {
            Ok(stream) => return Ok(stream),
            Err(error) if tries >= 600 => return Err(error),
            Err(_) => {
                tries += 1;
                std::thread::sleep(Duration::from_millis(100));
            }
        }
    }
}

fn patient(stream: &TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))
}

/// The other's rank, where its greeting is that of this run.
fn greeted(stream: &mut TcpStream, own: &[u8]) -> Option<usize> {
    let mut other = vec![0_u8; own.len()];
    stream.read_exact(&mut other).ok()?;
    let rank = other.get(8..16)?.try_into().map(u64::from_le_bytes).ok()?;
    let same = other.get(..8) == own.get(..8) && other.get(16..) == own.get(16..);
    same.then_some(rank as usize)
}

fn send(stream: &mut TcpStream, values: &[f32]) -> std::io::Result<()> {
    let mut bytes = (values.len() as u64).to_le_bytes().to_vec();
    bytes.extend(values.iter().flat_map(|v| v.to_le_bytes()));
    stream.write_all(&bytes)
}

fn receive(stream: &mut TcpStream, count: usize) -> std::io::Result<Vec<f32>> {
    let mut length = [0_u8; 8];
    stream.read_exact(&mut length)?;
    let found = u64::from_le_bytes(length);
    if found != count as u64 {
        return Err(std::io::Error::other(format!(
            "it has {found} numbers, {count} are here"
        )));
    }
    let mut bytes = vec![0_u8; 4 * count];
    stream.read_exact(&mut bytes)?;
    let (chunks, _) = bytes.as_chunks::<4>();
    Ok(chunks.iter().map(|b| f32::from_le_bytes(*b)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn meeting(rank: usize, world: usize, port: u16) -> Meeting {
        Meeting {
            rank,
            world,
            address: format!("127.0.0.1:{port}"),
        }
    }

    fn free_port() -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    }

    #[test]
    fn three_ranks_have_the_same_mean() {
        let port = free_port();
        let run = move |rank: usize| {
            let mut ranks = Ranks::meet(&meeting(rank, 3, port), "key").unwrap();
            let values = vec![rank as f32, 3.0];
            let mut gradients = Gradients(BTreeMap::from([("w".to_owned(), values)]));
            ranks.average(&mut gradients).unwrap();
            gradients.0["w"].clone()
        };
        let others: Vec<_> = (1..3).map(|r| std::thread::spawn(move || run(r))).collect();
        assert_eq!(run(0), [1.0, 3.0]);
        for other in others {
            assert_eq!(other.join().unwrap(), [1.0, 3.0]);
        }
    }

    #[test]
    fn strangers_are_sent_away() {
        let port = free_port();
        let first =
            std::thread::spawn(move || Ranks::meet(&meeting(0, 2, port), "key").unwrap().world());
        let wrong = Ranks::meet(&meeting(1, 2, port), "yek")
            .unwrap_err()
            .to_string();
        assert!(wrong.contains("another recipe"), "{wrong}");
        Ranks::meet(&meeting(1, 2, port), "key").unwrap();
        assert_eq!(first.join().unwrap(), 2);
    }

    #[test]
    fn variables_are_read_and_checked() {
        let with = |rank: &'static str| {
            Meeting::of_variables(move |name| match name {
                "RANK" => Some(rank.to_owned()),
                "WORLD_SIZE" => Some("2".to_owned()),
                _ => None,
            })
        };
        assert_eq!(with("1").unwrap().unwrap().address, "127.0.0.1:29500");
        assert!(with("2").unwrap_err().to_string().contains("RANK is '2'"));
        assert!(Meeting::of_variables(|_| None).unwrap().is_none());
    }
}
