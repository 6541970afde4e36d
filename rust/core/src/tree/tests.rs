//! The tree against trees made at once, and against slow twins.

use super::{Leaver, Tree};
use crate::philox::philox;

/// Weights of so many places; some are out, many are equal.
fn weights(seed: u64, count: usize) -> Vec<u32> {
    let words = philox(seed, 0, &[0], count).unwrap();
    words
        .into_iter()
        .map(|word| if word % 5 == 0 { 0 } else { [1, 7, 1 << 30, word >> 1][word as usize >> 4 & 3] })
        .collect()
}

/// Ages, all different, in no order.
fn ages(count: usize) -> Vec<u64> {
    (0..count as u64).map(|place| place * 7919 % 10_007).collect()
}

fn words(seed: u64, count: usize) -> Vec<[u32; 4]> {
    philox(seed, 1, &[0], 4 * count).unwrap().as_chunks().0.to_vec()
}

/// One after the other, each taken out of the tree.
fn drawn_in_turn(tree: &Tree, words: &[[u32; 4]]) -> Vec<usize> {
    let mut tree = tree.clone();
    let pick = |&words| {
        let place = tree.pick(words, false).filter(|_| tree.total() > 0)?;
        tree.give(place, 0);
        Some(place)
    };
    words.iter().map_while(pick).collect()
}

#[test]
fn draws_over_gaps_are_those_of_a_tree_without_the_drawn() {
    for (seed, count) in (0..).zip([1, 2, 15, 16, 17, 255, 256, 257, 1000, 4097, 20_000]) {
        let tree = Tree::new(Leaver::None, &weights(seed, count), &ages(count));
        for number in [1, 5, 128, 600, count + 1] {
            let words = words(seed + 100, number.min(1000));
            assert_eq!(tree.draw(&words), drawn_in_turn(&tree, &words), "{number} of {count}");
        }
    }
    assert_eq!(Tree::new(Leaver::None, &[], &[]).draw(&words(1, 3)), Vec::<usize>::new());
    assert_eq!(Tree::new(Leaver::None, &[0; 40], &[0; 40]).draw(&words(1, 3)), Vec::<usize>::new());
}

#[test]
fn a_tree_that_grew_and_changed_is_the_tree_made_at_once() {
    for leaver in [Leaver::Lightest, Leaver::Oldest, Leaver::None] {
        let (last, first, age) = (weights(1, 5000), weights(2, 5000), ages(5000));
        let mut grown = Tree::new(leaver, &[], &[]);
        for place in 0..5000 {
            grown.grow();
            grown.fill(place, first[place], age[4999 - place]);
            if place % 9 == 0 {
                grown.settle();
            }
        }
        for place in (0..5000).rev() {
            grown.fill(place, last[place], age[place]);
            if place % 700 == 0 {
                grown.settle();
            }
        }
        let mut made = Tree::new(leaver, &last, &age);
        let words = words(3, 300);
        for _ in 0..30 {
            assert_eq!((grown.total(), grown.count()), (made.total(), made.count()));
            assert_eq!(grown.heaviest(99), made.heaviest(99));
            assert_eq!((grown.leavers(), grown.first_out()), (made.leavers(), made.first_out()));
            assert_eq!(grown.draw(&words), made.draw(&words));
            assert!(words.iter().all(|&words| grown.pick(words, true) == made.pick(words, true)));
            for place in made.leavers().into_iter().chain(made.heaviest(40)) {
                for tree in [&mut grown, &mut made] {
                    tree.fill(place, 0, 0);
                }
            }
            grown.settle();
            made.settle();
        }
    }
}

#[test]
fn those_who_leave_are_the_least_in_order() {
    let (mut weight, age) = (weights(4, 5000), ages(5000));
    for leaver in [Leaver::Lightest, Leaver::Oldest] {
        let mut tree = Tree::new(leaver, &weight, &age);
        let mut order: Vec<usize> = (0..5000).filter(|&place| weight[place] > 0).collect();
        let light = |place: usize| if leaver == Leaver::Lightest { weight[place] } else { 0 };
        order.sort_by_key(|&place| (light(place), age[place]));
        let mut gone = Vec::new();
        while gone.len() < order.len() {
            let run = tree.leavers();
            assert!(!run.is_empty() && (leaver == Leaver::Oldest || run.len() == 1));
            for &place in &run {
                tree.fill(place, 0, 0);
            }
            tree.settle();
            gone.extend(run);
        }
        assert_eq!(gone, order);
        assert!(tree.leavers().is_empty() && tree.heaviest(1).is_empty());
        weight[17] = 0;
    }
}
