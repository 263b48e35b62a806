"""Adapters for trainers, torch.distributed and scikit-learn; each module imports the package of the same name.

- plain torch, torchdata: no adapter is needed; pass the sampler as ``batch_sampler``. ``StatefulDataLoader`` saves its
  position.
- accelerate: do not pass ``num_replicas``, since ``prepare`` distributes the batches. To resume, call
  ``loader.set_epoch(epoch)`` before ``skip_first_batches`` or the first batch of a stateful loader, and at the start of
  every epoch after that.
- transformers: [`negmine.integrations.transformers.SetEpochCallback`][].
- sentence-transformers: the same callback, and ``negmine.integrations.sentence_transformers``.
- PyKEEN: [`negmine.integrations.pykeen.ExactNegativeSampler`][] as ``negative_sampler``.
- Lightning: ``Trainer(use_distributed_sampler=False)``, ``num_replicas`` and ``rank`` passed to the sampler, and
  [`negmine.integrations.lightning.SetEpochCallback`][].
- Ray: [`negmine.integrations.ray.mine`][], a mining job with a task per shard.
- torch.distributed: [`negmine.integrations.torch_distributed.DistributedSearcher`][], documents on many ranks.
- scikit-learn: [`negmine.integrations.sklearn.ExactNeighbors`][], also for imbalanced-learn.
"""
