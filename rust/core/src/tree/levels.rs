//! Numbers in blocks of sixteen, and what each block comes to in blocks of sixteen again, up to a single one.

/// Parts of a block.
pub const FAN: usize = 16;

/// Sixteen numbers side by side. Blocks begin where lines of the cache begin: to look at a block is to wait for one or
/// two lines, not for one more.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
pub struct Block<T>(pub [T; FAN]);

/// Return number `at` of blocks that follow each other.
pub fn get<T: Copy>(blocks: &[Block<T>], at: usize) -> T {
    blocks[at / FAN].0[at % FAN]
}

/// As [`get`], to write to.
pub fn get_mut<T>(blocks: &mut [Block<T>], at: usize) -> &mut T {
    &mut blocks[at / FAN].0[at % FAN]
}

/// Blocks with the given numbers, and `rest` in what remains of the last.
pub fn blocks<T: Copy>(numbers: &[T], rest: T) -> Vec<Block<T>> {
    let fill = |part: &[T]| {
        let mut block = Block([rest; FAN]);
        block.0[..part.len()].copy_from_slice(part);
        block
    };
    numbers.chunks(FAN).map(fill).collect()
}

/// Of blocks of places, blocks of blocks, ..., what each comes to; the last level is one block, and there is none without
/// places.
#[derive(Clone, Debug, Default)]
pub struct Levels<T>(Vec<Vec<Block<T>>>);

impl<T: Copy> Levels<T> {
    /// Build on what the blocks of places come to; `nothing` is what there is of a block that is not there.
    pub fn new(mut below: Vec<T>, nothing: T, come_to: impl Fn(&[T; FAN]) -> T) -> Self {
        let mut levels = Vec::new();
        while !below.is_empty() {
            let level = blocks(&below, nothing);
            below = if level.len() > 1 { level.iter().map(|block| come_to(&block.0)).collect() } else { Vec::new() };
            levels.push(level);
        }
        Self(levels)
    }

    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// What is known of the parts of a block of a level, or of the one that such a part is.
    pub fn block(&self, level: usize, block: usize) -> &[T; FAN] {
        &self.0[level][block].0
    }

    /// Read a number of each line of the cache that a block of a level lies in.
    pub fn touch(&self, level: usize, block: usize) -> T
    where
        T: std::ops::BitXor<Output = T>,
    {
        let block = &self.0[level][block].0;
        block[0] ^ block[FAN / 2]
    }

    pub fn part(&self, level: usize, part: usize) -> T {
        get(&self.0[level], part)
    }

    pub fn part_mut(&mut self, level: usize, part: usize) -> &mut T {
        get_mut(&mut self.0[level], part)
    }

    /// The only block of the last level.
    pub fn top(&self) -> Option<&[T; FAN]> {
        self.0.last().map(|level| &level[0].0)
    }

    /// Change what is known of the block of a place, of the block of that, and so on.
    pub fn change(&mut self, place: usize, mut to: impl FnMut(T) -> T) {
        let mut part = place;
        for level in &mut self.0 {
            part /= FAN;
            let known = get_mut(level, part);
            *known = to(*known);
        }
    }

    /// Let there be so many blocks of places, of which the last ones are empty.
    pub fn grow(&mut self, mut below: usize, nothing: T, come_to: impl Fn(&[T; FAN]) -> T) {
        let mut level = 0;
        while below > 1 || level == 0 {
            below = below.div_ceil(FAN);
            if level == self.0.len() {
                let mut top = Block([nothing; FAN]);
                top.0[0] = self.top().map_or(nothing, &come_to);
                self.0.push(vec![top]);
            }
            self.0[level].resize(below, Block([nothing; FAN]));
            level += 1;
        }
    }

    pub fn bytes(&self) -> usize {
        size_of::<Block<T>>() * self.0.iter().map(Vec::capacity).sum::<usize>()
    }
}
