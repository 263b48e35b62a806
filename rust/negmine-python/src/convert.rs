//! Conversion of the Python interface's arrays to views of the core. `negmine._core.arrays` has made them aligned,
//! native and two-dimensional; the checks here are those that soundness depends on.

use std::sync::Arc;

use ndarray::ArrayView2;
use negmine_core::base::csr::CsrView;
use negmine_core::base::key_ranges::KeyRanges;
use negmine_core::base::matrix::{Elements, Rows};
use negmine_core::base::padded::Padded;
use negmine_core::base::stored::{ByteOrder, Wide};
use negmine_core::base::union_find::Link;
use negmine_core::scoring::Metric;
use numpy::{PyArray1, PyArray2, PyArrayMethods, PyReadonlyArray1, PyReadonlyArray2, PyReadonlyArray3};
use pyo3::prelude::*;

use crate::errors;
use crate::row_files::RowFiles;

/// `negmine._core.arrays.Rows`: an array, its element type, and its memory layout. A float32 matrix is passed as it is.
pub(crate) enum RowsArg<'py> {
    F32(PyReadonlyArray2<'py, f32>),
    F64(PyReadonlyArray2<'py, f64>),
    F16(PyReadonlyArray2<'py, u16>),
    Bf16(PyReadonlyArray2<'py, u16>),
    I8(PyReadonlyArray2<'py, i8>),
    U8(PyReadonlyArray2<'py, u8>),
    Bytes(PyReadonlyArray3<'py, u8>, Wide, ByteOrder),
    Files(Bound<'py, RowFiles>),
}

impl<'py> FromPyObject<'_, 'py> for RowsArg<'py> {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        if let Ok(matrix) = object.cast::<PyArray2<f32>>() {
            return Ok(Self::F32(matrix.try_readonly()?));
        }
        if let Ok(files) = object.cast::<RowFiles>() {
            return Ok(Self::Files(files.to_owned()));
        }
        let array = object.getattr("array")?;
        let kind: String = object.getattr("kind")?.extract()?;
        let order: String = object.getattr("order")?.extract()?;
        let order = match order.as_str() {
            "native" => None,
            "misaligned" => Some(ByteOrder::Native),
            _ => Some(ByteOrder::Swapped),
        };
        if let Some(order) = order {
            let wide = match kind.as_str() {
                "float32" => Wide::F32,
                "float64" => Wide::F64,
                "float16" => Wide::F16,
                "bfloat16" => Wide::Bf16,
                other => {
                    return Err(errors::value_error(
                        object.py(),
                        format!("unknown kind of elements: {other}"),
                    ));
                }
            };
            return Ok(Self::Bytes(array.extract()?, wide, order));
        }
        Ok(match kind.as_str() {
            "float32" => Self::F32(array.extract()?),
            "float64" => Self::F64(array.extract()?),
            "float16" => Self::F16(array.extract()?),
            "bfloat16" => Self::Bf16(array.extract()?),
            "int8" => Self::I8(array.extract()?),
            "uint8" => Self::U8(array.extract()?),
            other => {
                return Err(errors::value_error(object.py(), format!("unknown kind of elements: {other}")));
            }
        })
    }
}

impl RowsArg<'_> {
    pub(crate) fn rows(&self, py: Python<'_>, argument: &'static str) -> PyResult<Rows<'_>> {
        let elements = match self {
            Self::F32(a) => Elements::F32(view(a)),
            Self::F64(a) => Elements::F64(view(a)),
            Self::F16(a) => Elements::F16(view(a)),
            Self::Bf16(a) => Elements::Bf16(view(a)),
            Self::I8(a) => Elements::I8(view(a)),
            Self::U8(a) => Elements::U8(view(a)),
            Self::Bytes(a, wide, order) => Elements::Bytes(a.as_array(), *wide, *order),
            Self::Files(files) => {
                let rows = files.get().rows();
                rows.check_unchanged().map_err(|error| errors::raise(py, &error))?;
                Elements::Files(rows, Arc::default())
            }
        };
        Rows::new(argument, elements).map_err(|error| errors::raise(py, &error))
    }
}

fn view<'a, T: numpy::Element>(array: &'a PyReadonlyArray2<'_, T>) -> ArrayView2<'a, T> {
    array.as_array()
}

/// `negmine._core.arrays.CsrLike`: any object that has offsets and items.
#[derive(FromPyObject)]
pub(crate) struct CsrArg<'py> {
    offsets: PyReadonlyArray1<'py, i64>,
    items: PyReadonlyArray1<'py, i64>,
}

impl CsrArg<'_> {
    /// Number of lists.
    pub(crate) fn len(&self) -> PyResult<usize> {
        Ok(self.offsets.len()?.saturating_sub(1))
    }

    pub(crate) fn view(&self, py: Python<'_>, argument: &'static str, rows: usize) -> PyResult<CsrView<'_>> {
        CsrView::new(argument, self.offsets.as_slice()?, self.items.as_slice()?, rows)
            .map_err(|error| errors::raise(py, &error))
    }

    /// The lists, which a call has checked before if `checked`, so that no further one reads all of them.
    pub(crate) fn view_again(
        &self,
        py: Python<'_>,
        argument: &'static str,
        rows: usize,
        checked: bool,
    ) -> PyResult<CsrView<'_>> {
        if !checked || self.len()? != rows {
            return self.view(py, argument, rows);
        }
        Ok(CsrView::of_checked(self.offsets.as_slice()?, self.items.as_slice()?))
    }
}

/// The fields of `negmine.data.eligibility.KeyRanges`.
#[derive(FromPyObject)]
struct KeyRangesArg<'py> {
    keys: PyReadonlyArray1<'py, i64>,
    lowest: PyReadonlyArray1<'py, i64>,
    highest: PyReadonlyArray1<'py, i64>,
    offsets: Option<PyReadonlyArray1<'py, i64>>,
}

impl KeyRangesArg<'_> {
    fn view(&self) -> PyResult<KeyRanges<'_>> {
        Ok(KeyRanges {
            keys: self.keys.as_slice()?,
            lowest: self.lowest.as_slice()?,
            highest: self.highest.as_slice()?,
            offsets: self.offsets.as_ref().map(PyReadonlyArray1::as_slice).transpose()?,
        })
    }
}

/// The fields of `negmine.Eligibility`.
#[derive(FromPyObject)]
pub(crate) struct EligibleArg<'py> {
    terms: Vec<KeyRangesArg<'py>>,
}

impl EligibleArg<'_> {
    /// The rules of keys; none without eligibility.
    pub(crate) fn view(eligible: Option<&Self>) -> PyResult<Vec<KeyRanges<'_>>> {
        eligible.map_or(Ok(Vec::new()), |eligible| eligible.terms.iter().map(KeyRangesArg::view).collect())
    }
}

pub(crate) fn metric(py: Python<'_>, name: &str) -> PyResult<Metric> {
    Ok(match name {
        "cosine" => Metric::Cosine,
        "ip" => Metric::Ip,
        "l2" => Metric::L2,
        other => {
            return Err(errors::value_error(
                py,
                format!("`metric` must be \"cosine\", \"ip\" or \"l2\"; got {other:?}."),
            ));
        }
    })
}

/// Lists of scored documents as padded arrays: rows i64, scores f64, counts i32.
pub(crate) type PaddedArrays<'py> =
    (Bound<'py, PyArray2<i64>>, Bound<'py, PyArray2<f64>>, Bound<'py, PyArray1<i32>>);

pub(crate) fn padded(py: Python<'_>, lists: Padded) -> PyResult<PaddedArrays<'_>> {
    let (rows, width) = (lists.counts.len(), lists.width);
    let (indices, scores) = (matrix(py, lists.indices, rows, width)?, matrix(py, lists.scores, rows, width)?);
    Ok((indices, scores, PyArray1::from_vec(py, lists.counts)))
}

/// A row-major vector as a matrix, without a copy.
pub(crate) fn matrix<T: numpy::Element>(
    py: Python<'_>,
    values: Vec<T>,
    rows: usize,
    width: usize,
) -> PyResult<Bound<'_, PyArray2<T>>> {
    PyArray1::from_vec(py, values).reshape([rows, width])
}

/// Group keys, the two sides of the pairs that connect groups, and their similarities.
pub(crate) type LinkArrays<'py> = (
    Bound<'py, PyArray1<i64>>,
    Bound<'py, PyArray1<i64>>,
    Bound<'py, PyArray1<i64>>,
    Bound<'py, PyArray1<f64>>,
);

pub(crate) fn link_arrays<'py>(py: Python<'py>, groups: Vec<i64>, links: &[Link]) -> LinkArrays<'py> {
    let side = |row: fn(&Link) -> u32| PyArray1::from_iter(py, links.iter().map(|link| i64::from(row(link))));
    let (left, right) = (side(|link| link.a), side(|link| link.b));
    let similarities = PyArray1::from_iter(py, links.iter().map(|link| link.similarity));
    (PyArray1::from_vec(py, groups), left, right, similarities)
}
