//! Ranks that are threads of one process.

use std::sync::mpsc::{Receiver, Sender, channel};

use candle_core::{Result, Tensor, bail};

use super::Exchange;

type Message = Vec<Tensor>;

/// The connections of one thread, see [`channels`].
#[derive(Debug)]
pub struct Channels {
    rank: usize,
    /// To each rank, this one included.
    to: Vec<Sender<Message>>,
    /// From each rank.
    from: Vec<Receiver<Message>>,
}

/// A group of `size` ranks, one value for each thread.
pub fn channels(size: usize) -> Vec<Channels> {
    let mut to: Vec<Vec<Sender<Message>>> = (0..size).map(|_| Vec::new()).collect();
    let mut from: Vec<Vec<Receiver<Message>>> = (0..size).map(|_| Vec::new()).collect();
    for to in &mut to {
        for from in &mut from {
            let (sender, receiver) = channel();
            to.push(sender);
            from.push(receiver);
        }
    }
    let pairs = to.into_iter().zip(from).enumerate();
    pairs
        .map(|(rank, (to, from))| Channels { rank, to, from })
        .collect()
}

impl Channels {
    fn send(&self, rank: usize, message: Message) -> Result<()> {
        match self.to.get(rank).map(|to| to.send(message)) {
            Some(Ok(())) => Ok(()),
            _ => bail!("rank {}: rank {rank} is gone", self.rank),
        }
    }

    fn receive(&self, rank: usize) -> Result<Message> {
        match self.from.get(rank).map(Receiver::recv) {
            Some(Ok(message)) => Ok(message),
            _ => bail!("rank {}: rank {rank} is gone", self.rank),
        }
    }
}

impl Exchange for Channels {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.to.len()
    }

    fn all_to_all(&mut self, parts: Vec<Tensor>) -> Result<Vec<Tensor>> {
        if parts.len() != self.size() {
            bail!("{} parts for {} ranks", parts.len(), self.size());
        }
        for (rank, part) in parts.into_iter().enumerate() {
            self.send(rank, vec![part])?;
        }
        let mut parts = Vec::with_capacity(self.size());
        for rank in 0..self.size() {
            parts.extend(self.receive(rank)?);
        }
        Ok(parts)
    }

    fn shift(&mut self, tensors: Vec<Tensor>) -> Result<Vec<Tensor>> {
        let size = self.size();
        self.send((self.rank + 1) % size, tensors)?;
        self.receive((self.rank + size - 1) % size)
    }
}
