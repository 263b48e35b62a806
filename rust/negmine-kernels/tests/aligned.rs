//! Buffers are aligned, zeroed, of the stated length, and behave as slices.

use negmine_kernels::aligned::{Aligned, LARGE, LINE, Plain, prefetch, try_zeros, zeros};

fn check<T: Plain + PartialEq + std::fmt::Debug>(zero: T, one: T) {
    for len in [0, 1, 63, 64, 65, 1000, LARGE / size_of::<T>() - 1, LARGE / size_of::<T>(), 3 * LARGE + 5] {
        let mut buffer = Aligned::<T>::zeroed(len);
        assert_eq!(buffer.len(), len);
        assert!(buffer.iter().all(|x| *x == zero));
        if len > 0 {
            let alignment = if len * size_of::<T>() < LARGE { LINE } else { LARGE };
            assert!(buffer.as_ptr().addr().is_multiple_of(alignment), "{len}");
            buffer[len - 1] = one;
        }
        let copy = buffer.clone();
        assert_eq!(copy[..], buffer[..]);
        prefetch(&copy[len / 2..]);
        let mut vector = zeros::<T>(len);
        assert!(vector.len() == len && vector.iter().all(|x| *x == zero));
        vector.resize(len + 1, one); // it is an ordinary one
        assert!(vector[len] == one);
    }
}

#[test]
fn buffers_of_every_kind_and_size() {
    check(0_u8, 1);
    check(0_i8, -1);
    check(0_u32, 1);
    check(0.0_f32, 1.0);
    check(0_i64, -1);
    check(0.0_f64, 1.0);
    assert!(Aligned::<u8>::default().is_empty());
}

#[test]
fn a_refusal_is_none() {
    for len in [usize::MAX / 64, usize::MAX / 4, usize::MAX] {
        assert!(Aligned::<f64>::try_zeroed(len).is_none());
        assert!(try_zeros::<f64>(len).is_none());
    }
    assert_eq!(try_zeros::<u8>(3), Some(vec![0; 3]));
    assert_eq!(try_zeros::<u8>(0), Some(Vec::new()));
}

#[test]
#[should_panic(expected = "a buffer that can be addressed")]
fn a_size_beyond_the_address_space_is_refused() {
    let _ = Aligned::<f64>::zeroed(usize::MAX / 4);
}
