"""From a queue message to a TrainingJob: conversion, capacity and duplicate detection."""
