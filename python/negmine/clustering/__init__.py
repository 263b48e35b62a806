"""Clustering of embeddings: k-means, balanced clusters, and the NGAME guarantee."""

from __future__ import annotations

from negmine.clustering.clusters import Clusters, balanced_clusters, kmeans
from negmine.clustering.guarantee import ClusterGuarantee, cluster_guarantee
from negmine.clustering.labels import ClusterLike

__all__ = ["ClusterGuarantee", "ClusterLike", "Clusters", "balanced_clusters", "cluster_guarantee", "kmeans"]
